import AttentionCore
import AttentionKernels
import Autotuning
import DurableFiles
import HeadProfiling
import SampleAttention

/// Tries candidates on every head, on the Q, K and V of a layer under full attention, without running a model again.
///
/// At the shortest length a sampler proposes them, a ladder of bare windows first; two objectives, predicted time and output error.
/// At every longer length only those are measured that the length before left on their head's front, beside the ladders' new windows
/// and, of heads that kept key blocks, new counts of them: successive halving from short prompts to long ones.
struct HeadSearch {
    let kernel: AttentionKernel
    let settings: TuningSettings
    let latency: LatencyModel
    let trials: WorkExecutor<TrialItem, FrozenTrial>
    /// Each head's parameters in an earlier config, tried first.
    let warmStart: TunedConfig?

    /// Measures the candidates of all heads of a layer.
    ///
    /// - Parameters:
    ///   - survivors: of the length before; nil at the shortest.
    ///   - isOver: asked after each round of trials; the rest of them is left out when it says so.
    ///   - advance: called for each round of trials.
    /// - Throws: as `HeadMeter.init`, and where the journal cannot be written.
    func search(
        _ attention: LayerAttention, survivors: [HeadIndex: [SampleAttentionParameters]]?, workspace: AttentionWorkspace,
        isOver: () -> Bool, advance: () -> Void
    ) throws {
        let rounds = LayerRounds(search: self, layer: attention.layer, shape: attention.inputs.shape, survivors: survivors)
        try rounds.run(
            meter: { try HeadMeter(attention, kernel: kernel, workspace: workspace) }, isOver: isOver, advance: advance)
    }

    /// What a longer length tries of a shorter one.
    func survivors(length: Int) -> [HeadIndex: [SampleAttentionParameters]] {
        trials.trials(length: length).mapValues { HeadProbing.options($0).map(\.parameters) }
    }

    /// Rounds of trials of each layer, at most.
    func rounds(_ survivors: [HeadIndex: [SampleAttentionParameters]]?) -> Int {
        max(1, survivors.map { $0.values.map(\.count).max() ?? 0 } ?? settings.trials)
    }
}

/// A query head of a model.
struct HeadIndex: Hashable, Sendable, Comparable {
    let layer, head: Int

    static func < (a: HeadIndex, b: HeadIndex) -> Bool { (a.layer, a.head) < (b.layer, b.head) }
}

/// The trials of one layer at one length: a round gives each head one candidate. A trial is an item; what a head tries next follows from
/// its own trials alone.
private struct LayerRounds {
    let search: HeadSearch
    let layer: Int
    let shape: AttentionShape
    let survivors: [HeadIndex: [SampleAttentionParameters]]?

    private var settings: TuningSettings { search.settings }
    private var heads: Range<Int> { 0..<shape.queryHeads }
    private var length: Int { shape.keyCount }

    func run(meter make: () throws -> HeadMeter, isOver: () -> Bool, advance: () -> Void) throws {
        var proposals = heads.map {
            HeadProposals(
                fixed: fixed($0), sampler: survivors == nil ? sampler($0) : nil, space: settings.space, length: length,
                headDimension: shape.headDimension)
        }
        let rounds = survivors == nil ? settings.trials : proposals.map(\.fixed.count).max() ?? 0
        // Full attention is run for comparison only when something is left to measure.
        var meter: HeadMeter?
        for round in 0..<rounds {
            let candidates = heads.map { proposals[$0].next(round) }
            let items = heads.map { head in candidates[head].map { item(head, $0.parameters) } }
            let isWhole = try search.trials.run(together: items.compactMap(\.self), isOver: isOver) { missing in
                let one = try meter ?? make()
                meter = one
                return try measure(missing, round: round, meter: one)
            }
            if !isWhole { break }
            for head in heads {
                guard let candidate = candidates[head], let item = items[head] else { continue }
                proposals[head].tell(candidate, trial: search.trials[item])
            }
            advance()
        }
    }

    /// One candidate of each of some heads, in one run of the kernel; nil for an error that is not finite.
    private func measure(_ items: [TrialItem], round: Int, meter: HeadMeter) throws -> [FrozenTrial?] {
        // A head with nothing to measure costs least with the narrowest window.
        var parameters = [SampleAttentionParameters](repeating: .window(tokens: 1, sinks: 0), count: heads.count)
        for item in items { parameters[item.head] = item.parameters }
        let measured = try meter.measure(parameters)
        return items.map { item in
            let one = measured[item.head]
            // Inputs are finite, or there would be no meter; the squares of their errors need not be.
            guard one.outputError.isFinite else { return nil }
            let work = HeadWork(item.parameters, pattern: one.pattern, shape: shape)
            return FrozenTrial(
                length: length, layer: layer, head: item.head, number: round, parameters: item.parameters,
                measured: .init(
                    meanMass: one.mass.mean, p1Mass: one.mass.p1, minMass: one.mass.minimum, density: one.density,
                    outputError: one.outputError, milliseconds: 1000 * search.latency.seconds(work)))
        }
    }

    private func item(_ head: Int, _ parameters: SampleAttentionParameters) -> TrialItem {
        TrialItem(length: length, layer: layer, head: head, parameters: parameters)
    }

    /// What is tried whatever the sampler thinks: the ladders, an earlier config, what a shorter length left.
    private func fixed(_ head: Int) -> [SampleAttentionParameters] {
        var fixed = settings.space.ladder(length: length).map(settings.space.window)
        let blocks = settings.space.keyBlockLadder(length: length, headDimension: shape.headDimension)
        if let survivors {
            let left = survivors[HeadIndex(layer: layer, head: head)] ?? []
            let before = settings.lengths.last { $0 < length } ?? length
            // Windows that the shorter length had no use for stay away; wider ones than it could try are new. So are more key blocks.
            let widest = settings.space.ladder(length: before).last ?? 0
            let most = settings.space.keyBlockLadder(length: before, headDimension: shape.headDimension).last?.keyBlockCount ?? 0
            let hasBlocks = left.contains { $0.pattern == .keyBlocks }
            fixed = fixed.filter { $0.window.positions(promptLength: length) > widest }
            // The longer the prompt, the more there is that no window reaches, so one count is tried whatever the shorter length left.
            fixed += blocks.dropLast(2).suffix(1) + (hasBlocks ? blocks.filter { $0.keyBlockCount > most } : [])
            fixed += left
        } else {
            fixed += blocks
        }
        if let warm = search.warmStart?.parameters(layer: layer, promptLength: length), head < warm.count {
            fixed.insert(warm[head], at: 0)
        }
        var seen: Set<SampleAttentionParameters> = [.dense]
        return fixed.filter { seen.insert($0).inserted }
    }

    /// A sampler of its own for each head, so that no head's proposals depend on another's.
    private func sampler(_ head: Int) -> any Sampler {
        var generator = SeededGenerator.derived(seed: settings.seed, layer, head)
        return settings.sampler.make(dimensions: SearchSpace.dimensions, objectives: 2, seed: generator.next())
    }
}

/// Candidates of one head, the fixed ones first.
private struct HeadProposals {
    struct Candidate {
        let parameters: SampleAttentionParameters
        /// Nil for fixed ones.
        let point: [Double]?
    }

    let fixed: [SampleAttentionParameters]
    /// Nil where only the fixed ones are tried.
    var sampler: (any Sampler)?
    let space: SearchSpace
    let length, headDimension: Int

    /// Nil when there is none left.
    mutating func next(_ round: Int) -> Candidate? {
        if round < fixed.count { return Candidate(parameters: fixed[round], point: nil) }
        guard let point = sampler?.ask() else { return nil }
        return Candidate(parameters: space.parameters(at: point, length: length, headDimension: headDimension), point: point)
    }

    /// Errors count in their logarithm: half an error is worth as much everywhere.
    mutating func tell(_ candidate: Candidate, trial: FrozenTrial?) {
        guard let point = candidate.point else { return }
        sampler?.tell(point, values: trial.map { [$0.cost, logarithm($0.error + 1e-9)] })
    }
}
