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
/// Damages of single heads add up well enough to choose by, not well enough to promise by. So an allocation for a total damage τ is
/// run on the prompts, and τ follows what was found: up while there is room, down while the floor is missed.
struct ConfigSearch {
    let layerCount: Int
    /// Those that are tuned.
    let layers: [Int]
    let queryHeads: Int
    let settings: TuningSettings
    /// What was measured on heads, and what is on whole prompts.
    let work: StudyWork
    let sensitivities: HeadSensitivities
    let length: Int

    /// What one length came to.
    struct Outcome {
        let heads: [[TunedConfig.Head]]
        /// Total damage that was allotted, in shares of the floor.
        let damage: Double
        /// Every allocation tried, in order.
        let steps: [AllocationStep]
    }

    private struct Choice {
        let trials: [FrozenTrial]
        let parameters: [[SampleAttentionParameters]]
        var milliseconds: Double { trials.reduce(0) { $0 + $1.cost } }
    }

    /// - Parameters:
    ///   - denseMilliseconds: of one head, predicted.
    ///   - start: the τ to begin with.
    ///   - isOver: asked before each allocation but the first; the rest is left out when it says so.
    func run(
        on prefilled: [PrefilledPrompt], denseMilliseconds: Double, start: Double, isOver: () -> Bool,
        advance: (String) -> Void
    ) throws -> Outcome {
        let options = options(denseMilliseconds: denseMilliseconds)
        let target = settings.floor.tightened(by: settings.headroom)
        var steps: [AllocationStep] = []
        var best: (choice: Choice, point: Point)?
        var miss: Point?
        var damage = start
        for _ in 0..<settings.checksPerLength {
            if !steps.isEmpty, isOver() { break }
            guard let choice = choose(options, damage: damage) else { break }
            let checks = try prefilled.map { try check(choice, on: $0) }
            let share = target.worstShare(checks.map(\.quality))
            steps.append(AllocationStep(length: length, damage: damage, milliseconds: choice.milliseconds, checks: checks, share: share))
            advance("\(length) tokens, " + Self.progress(share))
            if settings.budgetMilliseconds != nil { return outcome(choice, damage: damage, steps: steps) }
            let point = Point(damage: damage, share: share)
            if share <= 1 {
                if damage > best?.point.damage ?? -1 { best = (choice, point) }
                // Near enough.
                if share > 0.9 { break }
            } else if damage < miss?.damage ?? .infinity {
                miss = point
            }
            damage = next(point, best: best?.point, miss: miss)
        }
        return outcome(best?.choice ?? dense(options), damage: best?.point.damage ?? 0, steps: steps)
    }

    private static func progress(_ share: Double) -> String {
        share < 1e6 ? "\(Int((100 * share).rounded())) % of what may be lost" : "what must not be lost is lost"
    }

    /// A total damage that was tried, and the share of what may be lost that it came to.
    private struct Point {
        let damage, share: Double
    }

    /// In proportion to the room until one damage holds and one misses, then between the two, not too near to either.
    private func next(_ last: Point, best: Point?, miss: Point?) -> Double {
        guard let best, let miss, miss.damage > best.damage else { return last.damage * min(4, max(0.15, 0.93 / max(last.share, 1e-3))) }
        let position = (0.95 - best.share) / (miss.share - best.share)
        return best.damage + (miss.damage - best.damage) * min(0.85, max(0.15, position))
    }

    /// Dense first, then what was measured at this length.
    private func options(denseMilliseconds: Double) -> [[(trial: FrozenTrial, damage: Double)]] {
        let trials = work.trials.trials(length: length)
        return layers.flatMap { layer in
            (0..<queryHeads).map { head in
                let index = HeadIndex(layer: layer, head: head)
                let dense = FrozenTrial(
                    length: length, layer: layer, head: head, number: -1, parameters: .dense,
                    measured: .dense(milliseconds: denseMilliseconds))
                let sparse = HeadProbing.fronts(trials[index] ?? [])
                    .filter { $0.measured.meanMass >= settings.floor.mass ?? 0 && $0.cost < denseMilliseconds }
                    .compactMap { trial in sensitivities.damage(index, trial).map { (trial, $0) } }
                return [(dense, 0)] + sparse
            }
        }
    }

    private func choose(_ options: [[(trial: FrozenTrial, damage: Double)]], damage: Double) -> Choice? {
        let table = options.map { $0.map { Allocation.Option(cost: $0.trial.cost, damage: $0.damage) } }
        guard let budget = settings.budgetMilliseconds else {
            return Allocation.cheapest(table, budget: damage).map { choice(zip(options, $0).map { $0[$1].trial }) }
        }
        // Out of reach, the budget gets the nearest there is.
        let chosen =
            Allocation.leastDamage(table, costBudget: budget) ?? table.map { row in row.indices.min { row[$0].cost < row[$1].cost } ?? 0 }
        return choice(zip(options, chosen).map { $0[$1].trial })
    }

    private func dense(_ options: [[(trial: FrozenTrial, damage: Double)]]) -> Choice { choice(options.map { $0[0].trial }) }

    private func choice(_ trials: [FrozenTrial]) -> Choice {
        Choice(trials: trials, parameters: ofAllLayers(trials.map(\.parameters), others: .dense))
    }

    /// What was found for the heads of the tuned layers, in order, and for all others the same: by layer and head.
    private func ofAllLayers<Value>(_ found: [Value], others: Value) -> [[Value]] {
        var all = Array(repeating: Array(repeating: others, count: queryHeads), count: layerCount)
        for (index, layer) in layers.enumerated() { all[layer] = Array(found[index * queryHeads..<(index + 1) * queryHeads]) }
        return all
    }

    private func outcome(_ choice: Choice, damage: Double, steps: [AllocationStep]) -> Outcome {
        Outcome(
            heads: ofAllLayers(
                choice.trials.map { TunedConfig.Head(parameters: $0.parameters, measured: $0.measured) },
                others: TunedConfig.Head(parameters: .dense, measured: .dense(milliseconds: nil))),
            damage: damage, steps: steps)
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
    /// Total damage allotted, in shares of the floor.
    public let damage: Double
    /// Attention as the latency model has it.
    public let milliseconds: Double
    public let checks: [ConfigCheck]
    /// How much of what may be lost was lost: above 1 the floor (less its headroom) is missed. Infinite, and null in JSON, where something
    /// was lost of what must not be.
    public let share: Double

    private enum CodingKeys: String, CodingKey { case length, damage, milliseconds, share, density, quality }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(length, forKey: .length)
        try container.encode(damage, forKey: .damage)
        try container.encode(milliseconds, forKey: .milliseconds)
        try container.encode(share.isFinite ? share : nil, forKey: .share)
        try container.encode(checks.map(\.density), forKey: .density)
        try container.encode(checks.map(\.quality), forKey: .quality)
    }
}
