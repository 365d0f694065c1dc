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

    /// The trials of a head that are worth a probe: windows and sampled patterns, each spread over their front.
    ///
    /// Families are kept apart, because the same output error spoils different things: a window forgets, a selection favours what
    /// many queries look at.
    static func options(_ trials: [FrozenTrial], count: Int) -> [FrozenTrial] {
        let useful = trials.filter { $0.measured.density < 0.95 }
        let windows = spread(front(useful, .window), count: (count + 1) / 2)
        return windows + spread(front(useful, .sampled), count: count - windows.count)
    }

    /// Every family's front.
    static func fronts(_ trials: [FrozenTrial]) -> [FrozenTrial] { PatternFamily.allCases.flatMap { front(trials, $0) } }

    /// Trials of which none is both cheaper and nearer than another, by ascending cost.
    private static func front(_ trials: [FrozenTrial], _ family: PatternFamily) -> [FrozenTrial] {
        let trials = trials.filter { PatternFamily($0.parameters) == family }.sorted { $0.cost < $1.cost }
        return ParetoFront(trials.enumerated().map { .init(cost: $1.cost, loss: $1.error, trial: $0) }).members.map { trials[$0.trial] }
    }

    /// Evenly chosen, none at the ends: those spoil everything or nothing, and what lies between tells more.
    static func spread(_ trials: [FrozenTrial], count: Int) -> [FrozenTrial] {
        guard trials.count > count, count > 0 else { return Array(trials.prefix(max(0, count))) }
        return (0..<count).map { trials[(2 * $0 + 1) * trials.count / (2 * count)] }
    }
}

/// Patterns that spoil alike.
enum PatternFamily: Int, CaseIterable {
    case window, sampled

    /// Nil for dense heads.
    init?(_ parameters: SampleAttentionParameters) {
        switch parameters.pattern {
        case .dense: return nil
        case .window: self = .window
        case .stripeWindow, .columnSlash: self = .sampled
        }
    }
}
