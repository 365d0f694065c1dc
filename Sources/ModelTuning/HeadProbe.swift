import AttentionCore
import Autotuning
import DurableFiles
import Parallelism
import SampleAttention

/// What a model loses, at every position of a prompt, when one head attends by some parameters and all others fully.
public struct HeadProbe: Sendable, Codable {
    public let length, layer, head: Int
    /// See `TuningPrompt.title`.
    public let prompt: String
    public let parameters: SampleAttentionParameters
    public let quality: Quality
}

/// The same as gradients predict it.
public struct HeadPrediction: Sendable, Codable {
    public let length, layer, head: Int
    /// See `TuningPrompt.title`.
    public let prompt: String
    public let parameters: SampleAttentionParameters
    public let damage: PredictedDamage
}

/// A prompt and the model's dense prefill of it.
struct PrefilledPrompt: Sendable {
    let prompt: TuningPrompt
    let dense: any DensePrefill
}

/// Makes probes: a head's options, each by itself, followed from their layer to the scores of every position.
struct HeadProbing {
    /// Probes that are made at once are shared out on it; so is what each of them does.
    let pool: WorkerPool
    let work: WorkExecutor<ProbeItem, HeadProbe>

    /// Every option of every head on every prompt.
    ///
    /// - Parameters:
    ///   - prefilled: of different titles.
    ///   - isOver: asked before each few probes; the rest is left out when it says so.
    func run(
        _ options: [HeadIndex: [FrozenTrial]], on prefilled: [PrefilledPrompt], isOver: () -> Bool,
        progress: (WorkExecutor<ProbeItem, HeadProbe>.Progress) -> Void
    ) throws {
        let byTitle = Dictionary(uniqueKeysWithValues: prefilled.map { ($0.prompt.title, $0) })
        let together = prefilled.map(\.dense.concurrentProbes).min() ?? 1
        let items = Self.items(options, prompts: prefilled.map(\.prompt))
        try work.run(items, together: together, isOver: isOver, progress: progress) { items in
            try pool.map(items.count) { index in
                let (item, own) = (items[index], byTitle[items[index].prompt]!)
                return Result {
                    let divergence = try own.dense.probe(item.parameters, layer: item.layer, head: item.head)
                    return HeadProbe(
                        length: item.length, layer: item.layer, head: item.head, prompt: item.prompt, parameters: item.parameters,
                        quality: Quality(divergence, prompt: own.prompt))
                }
            }.map { try $0.get() }
        }
    }

    /// The first option of every head, then the second, so that a study short of time knows something of every head.
    private static func items(_ options: [HeadIndex: [FrozenTrial]], prompts: [TuningPrompt]) -> [ProbeItem] {
        let heads = options.keys.sorted()
        return (0..<(options.values.map(\.count).max() ?? 0)).flatMap { round in
            heads.filter { round < options[$0]!.count }.flatMap { head in
                prompts.map { ProbeItem(head, options[head]![round].parameters, prompt: $0) }
            }
        }
    }

    /// Of each pattern the trials of which none is both cheaper and nearer than another, by cost.
    ///
    /// Patterns are kept apart, because the same output error spoils different things: a window forgets, a selection favours what many
    /// queries look at.
    static func fronts(_ trials: [FrozenTrial]) -> [FrozenTrial] {
        SampleAttentionParameters.Pattern.allCases.filter { $0 != .dense }.flatMap { front(trials, $0) }
    }

    /// The trials on fronts that are worth judging by what they do to the model: of neighbours whose errors differ little only the cheapest,
    /// and none that costs more than one of another pattern and errs several times as much.
    static func options(_ trials: [FrozenTrial]) -> [FrozenTrial] {
        let fronts = fronts(trials).filter { $0.parameters.pattern != .dense }
        let useful = fronts.filter { one in !fronts.contains { $0.cost < one.cost && $0.error < one.error / Self.otherPatternsError } }
        var least: [SampleAttentionParameters.Pattern: Double] = [:]
        return useful.filter { trial in
            let pattern = trial.parameters.pattern
            guard trial.error <= Self.lesserError * least[pattern, default: .infinity] else { return false }
            least[pattern] = trial.error
            return true
        }
    }

    private static let otherPatternsError = 4.0, lesserError = 0.75

    private static func front(_ trials: [FrozenTrial], _ pattern: SampleAttentionParameters.Pattern) -> [FrozenTrial] {
        let trials = trials.filter { $0.parameters.pattern == pattern }.sorted { $0.cost < $1.cost }
        return ParetoFront(trials.enumerated().map { .init(cost: $1.cost, loss: $1.error, trial: $0) }).members.map { trials[$0.trial] }
    }
}
