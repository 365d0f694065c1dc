import AttentionCore
import AttentionKernels
import LanguageModels
import ModelFormats
import SampleAttention

/// What tuning asks of a model: prompts with full attention, and what changes when heads attend by other parameters.
///
/// `LanguageModel` computes the answers; nothing else of it is used.
public protocol TunableModel: Sendable {
    /// Attends, and measures candidates.
    var kernel: AttentionKernel { get }
    var layerCount: Int { get }
    /// The layers whose heads are tuned, ascending: those without a window of their own. The others are dense in configs, which nothing
    /// reads.
    var tunedLayers: [Int] { get }

    /// Of one layer's attention in a prompt of so many tokens.
    func attentionShape(tokens: Int) -> AttentionShape

    /// Runs a prompt with full attention.
    ///
    /// - Parameters:
    ///   - firstLayer: the first whose heads may be probed; nil where none is.
    ///   - tap: sees each layer's queries, keys, values and output, in order.
    /// - Throws: `InputError` for a prompt that does not fit and scores that are not finite, and what the tap throws.
    func densePrefill(_ tokens: [Int32], probedFrom firstLayer: Int?, tap: AttentionTap?) throws -> any DensePrefill

    /// What options of heads, each by itself, cost on a prompt, predicted for all of them together.
    ///
    /// - Parameters:
    ///   - seed: of what is drawn.
    ///   - advance: called as it goes on, with the share that is done.
    /// - Returns: one entry an option, in order.
    /// - Throws: as `densePrefill`.
    func predict(
        _ options: [HeadOption], on prompt: TuningPrompt, seed: UInt64, advance: (Double) -> Void
    ) throws -> [PredictedDamage]
}

/// A prompt's way through a model with full attention, which others are compared with.
public protocol DensePrefill: Sendable {
    var cost: PrefillCost { get }
    /// How many probes at once are worth their memory.
    var concurrentProbes: Int { get }

    /// What full attention says at every position, beside itself.
    func fullAttention() throws -> Divergence

    /// How the scores of every position differ when one head attends by `parameters` and all others fully. By several tasks at once, if
    /// need be.
    ///
    /// - Parameter layer: not before the first that may be probed.
    func probe(_ parameters: SampleAttentionParameters, layer: Int, head: Int) throws -> Divergence

    /// Runs the prompt again under a policy of parameters.
    func sparsePrefill(_ policy: AttentionPolicy) throws -> SparsePrefill
}

/// A prompt under sparse attention, beside the same prompt with full attention.
public struct SparsePrefill: Sendable {
    public let divergence: Divergence
    public let cost: PrefillCost

    public init(divergence: Divergence, cost: PrefillCost) {
        self.divergence = divergence
        self.cost = cost
    }
}

/// What a prefill took.
public struct PrefillCost: Sendable {
    /// To the first scores, and of that in attention.
    public let seconds, attentionSeconds: Double
    /// Kept over causal pairs, all layers without a window of their own and all their heads.
    public let density: Double

    public init(seconds: Double, attentionSeconds: Double, density: Double) {
        self.seconds = seconds
        self.attentionSeconds = attentionSeconds
        self.density = density
    }
}

extension LanguageModel: TunableModel {
    public var layerCount: Int { description.layerCount }
    public var tunedLayers: [Int] { description.fullAttentionLayers }

    public func attentionShape(tokens: Int) -> AttentionShape {
        AttentionShape(
            queryHeads: description.queryHeads, keyValueHeads: description.keyValueHeads, queryCount: tokens, keyCount: tokens,
            headDimension: description.headDimension)
    }

    public func densePrefill(_ tokens: [Int32], probedFrom firstLayer: Int?, tap: AttentionTap?) throws -> any DensePrefill {
        TracedPrefill(model: self, trace: try PrefillTrace(tokens, model: self, policy: .dense, probedFrom: firstLayer, tap: tap))
    }

    public func predict(
        _ options: [HeadOption], on prompt: TuningPrompt, seed: UInt64, advance: (Double) -> Void
    ) throws -> [PredictedDamage] {
        let layers = Set(options.map(\.layer)).count
        // More prompts tell more than more draws, and each head's prediction is a sum over all rows of them.
        let predictor = DamagePredictor(model: self, prompt: prompt, draws: 1, seed: seed)
        let found = try predictor.run(options) { advance(Double($0) / Double(layers)) }
        return options.map { found[$0]!.damage }
    }
}

/// A language model's own.
private struct TracedPrefill: DensePrefill {
    let model: LanguageModel
    let trace: PrefillTrace

    var cost: PrefillCost { PrefillCost(trace.report) }
    var concurrentProbes: Int { trace.concurrentProbes }

    func probe(_ parameters: SampleAttentionParameters, layer: Int, head: Int) throws -> Divergence {
        try trace.probe(.perHead { $0 == layer && $1 == head ? parameters : .dense }, from: layer, against: trace)
    }

    func fullAttention() throws -> Divergence { try trace.divergence(from: trace) }

    func sparsePrefill(_ policy: AttentionPolicy) throws -> SparsePrefill {
        let sparse = try PrefillTrace(trace.tokens, model: model, policy: policy)
        return SparsePrefill(divergence: try sparse.divergence(from: trace), cost: PrefillCost(sparse.report))
    }
}

extension PrefillCost {
    fileprivate init(_ report: LanguageModel.PrefillReport) {
        self.init(seconds: report.seconds, attentionSeconds: report.attentionSeconds, density: report.density)
    }
}
