import AttentionCore
import Autotuning
import DurableFiles
import LanguageModels
import SampleAttention

/// A config tried on a whole prompt.
public struct ConfigCheck: Sendable, Codable {
    /// Which prompt: its text, kind, length and place.
    public let prompt: String
    public let length: Int
    /// By layer and head.
    public let heads: [[SampleAttentionParameters]]
    public let quality: Quality
    public let density: Double
    public let prefillSeconds, attentionSeconds: Double
}

/// Finds the cheapest parameters of all heads at one length that keep the floor on whole prompts.
///
/// Damages of single heads add up well enough to choose by, not well enough to promise by. So an allocation for some allotted damage is
/// run on the prompts, and the allotment follows what was found: up while there is room, down while the floor is missed.
struct ConfigSearch {
    let layerCount: Int
    /// Those that are tuned.
    let layers: [Int]
    let queryHeads: Int
    let settings: TuningSettings
    /// What was measured on heads, and what is on whole prompts.
    let work: StudyWork
    let damages: HeadDamages
    let length: Int

    /// What one length came to.
    struct Outcome {
        let heads: [[TunedConfig.Head]]
        /// What was allotted; nil where no allocation held.
        let allotment: DamageAllotment?
        /// Every allocation tried, in order.
        let steps: [AllocationStep]
    }

    private struct Choice {
        let trials: [FrozenTrial]
        let parameters: [[SampleAttentionParameters]]
        /// Of the floor, as predicted.
        let shares: FloorShares
        var milliseconds: Double { trials.reduce(0) { $0 + $1.cost } }
    }

    /// - Parameters:
    ///   - denseMilliseconds: of one head, predicted.
    ///   - start: the allotment to begin with.
    ///   - isOver: asked before each allocation but the first; the rest is left out when it says so.
    func run(
        on prefilled: [PrefilledPrompt], denseMilliseconds: Double, start: DamageAllotment, isOver: () -> Bool,
        advance: (String) -> Void
    ) throws -> Outcome {
        let options = options(denseMilliseconds: denseMilliseconds)
        let target = settings.floor.tightened(by: settings.headroom)
        var steps: [AllocationStep] = []
        var best: (choice: Choice, allotment: DamageAllotment)?
        var search = AllotmentSearch(start)
        // A few more where none has held so far: dense heads are what is left then.
        while steps.count < settings.checksPerLength + (best == nil ? Self.moreChecks : 0) {
            if !steps.isEmpty, isOver() { break }
            let allotment = search.allotment
            guard let choice = choose(options, allotment) else { break }
            let checks = try prefilled.map { try check(choice, on: $0) }
            let lost = target.shares(of: checks.map(\.quality))
            steps.append(
                AllocationStep(length: length, allotment: allotment, milliseconds: choice.milliseconds, checks: checks, share: lost.worst))
            advance("\(length) tokens, " + Self.progress(lost.worst))
            if settings.budgetMilliseconds != nil { return outcome(choice, allotment, steps: steps) }
            if lost.worst <= 1 {
                if choice.milliseconds < best?.choice.milliseconds ?? .infinity { best = (choice, allotment) }
            }
            search.learn(used: choice.shares, lost: lost)
            if search.isSettled { break }
        }
        return outcome(best?.choice ?? dense(options), best?.allotment, steps: steps)
    }

    private static let moreChecks = 3

    private static func progress(_ share: Double) -> String {
        share < 1e6 ? "\(Int((100 * share).rounded())) % of what may be lost" : "what must not be lost is lost"
    }

    private typealias Option = (trial: FrozenTrial, shares: FloorShares)

    /// Dense first, then what was measured at this length.
    private func options(denseMilliseconds: Double) -> [[Option]] {
        let trials = work.trials.trials(length: length)
        return layers.flatMap { layer in
            (0..<queryHeads).map { head in
                let index = HeadIndex(layer: layer, head: head)
                let dense = FrozenTrial(
                    length: length, layer: layer, head: head, number: -1, parameters: .dense,
                    measured: .dense(milliseconds: denseMilliseconds))
                let sparse = HeadProbing.options(trials[index] ?? [])
                    .filter { $0.measured.meanMass >= settings.floor.mass ?? 0 && $0.cost < denseMilliseconds }
                    .compactMap { trial in damages.shares(index, trial).map { (trial, $0) } }
                return [(dense, FloorShares(text: 0, answers: 0))] + sparse
            }
        }
    }

    private func choose(_ options: [[Option]], _ allotment: DamageAllotment) -> Choice? {
        func table(_ damage: (FloorShares) -> (Double, Double)) -> [[Allocation.Option]] {
            options.map {
                $0.map { option in
                    let (damage, other) = damage(option.shares)
                    return Allocation.Option(cost: option.trial.cost, damage: damage, otherDamage: other)
                }
            }
        }
        guard let budget = settings.budgetMilliseconds else {
            return Allocation.cheapest(table { ($0.text, $0.answers) }, budget: allotment.text, otherBudget: allotment.answers)
                .map { choice(zip(options, $0).map { $0[$1] }) }
        }
        let summed = table { ($0.sum, 0) }
        // Out of reach, the budget gets the nearest there is.
        let chosen =
            Allocation.leastDamage(summed, costBudget: budget) ?? summed.map { row in row.indices.min { row[$0].cost < row[$1].cost } ?? 0 }
        return choice(zip(options, chosen).map { $0[$1] })
    }

    private func dense(_ options: [[Option]]) -> Choice { choice(options.map { $0[0] }) }

    private func choice(_ options: [Option]) -> Choice {
        Choice(
            trials: options.map(\.trial), parameters: ofAllLayers(options.map(\.trial.parameters), others: .dense),
            shares: FloorShares(
                text: options.reduce(0) { $0 + $1.shares.text }, answers: options.reduce(0) { $0 + $1.shares.answers }))
    }

    /// What was found for the heads of the tuned layers, in order, and for all others the same: by layer and head.
    private func ofAllLayers<Value>(_ found: [Value], others: Value) -> [[Value]] {
        var all = Array(repeating: Array(repeating: others, count: queryHeads), count: layerCount)
        for (index, layer) in layers.enumerated() { all[layer] = Array(found[index * queryHeads..<(index + 1) * queryHeads]) }
        return all
    }

    private func outcome(_ choice: Choice, _ allotment: DamageAllotment?, steps: [AllocationStep]) -> Outcome {
        Outcome(
            heads: ofAllLayers(
                choice.trials.map { TunedConfig.Head(parameters: $0.parameters, measured: $0.measured) },
                others: TunedConfig.Head(parameters: .dense, measured: .dense(milliseconds: nil))),
            allotment: allotment, steps: steps)
    }

    private func check(_ choice: Choice, on prefilled: PrefilledPrompt) throws -> ConfigCheck {
        let item = CheckItem(prompt: prefilled.prompt.title, heads: choice.parameters)
        return try work.checks.record(of: item) {
            let sparse = try prefilled.dense.sparsePrefill(.perHead { item.heads[$0][$1] })
            return ConfigCheck(
                prompt: item.prompt, length: length, heads: item.heads, quality: Quality(sparse.divergence, prompt: prefilled.prompt),
                density: sparse.cost.density, prefillSeconds: sparse.cost.seconds, attentionSeconds: sparse.cost.attentionSeconds)
        }
    }
}

/// One allocation that was run on whole prompts.
public struct AllocationStep: Sendable, Encodable {
    public let length: Int
    /// What was allotted.
    public let allotment: DamageAllotment
    /// Attention as the latency model has it.
    public let milliseconds: Double
    public let checks: [ConfigCheck]
    /// How much of what may be lost was lost: above 1 the floor (less its headroom) is missed. Infinite, and null in JSON, where something
    /// was lost of what must not be.
    public let share: Double

    private enum CodingKeys: String, CodingKey { case length, allotment, milliseconds, share, density, quality }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(length, forKey: .length)
        try container.encode(allotment, forKey: .allotment)
        try container.encode(milliseconds, forKey: .milliseconds)
        try container.encode(share.isFinite ? share : nil, forKey: .share)
        try container.encode(checks.map(\.density), forKey: .density)
        try container.encode(checks.map(\.quality), forKey: .quality)
    }
}
