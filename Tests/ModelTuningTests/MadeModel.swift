import AttentionCore
import AttentionKernels
import AttentionLayers
import AttentionTestSupport
import LanguageModels
import ModelTuning
import Parallelism
import RunProvenance
import SampleAttention
import Synchronization

/// A model that is made up: layers of random queries, keys and values, and scores that heads spoil by sensitivities that are known.
///
/// A head that attends by some parameters leaves out a share s of what it might see (0 when dense) and costs s · sensitivity nats of KL
/// at every position. On whole prompts what heads cost adds up, times `interaction`.
final class MadeModel: TunableModel {
    static let identity = ModelIdentity(
        family: "made", layers: 2, queryHeads: 2, keyValueHeads: 1, headDimension: 8, weightsSHA256: "w", tokenizerSHA256: "t")
    private static let denseLoss: Float = 2

    /// What was asked of a model.
    struct Calls: Hashable {
        var dense = 0, predictions = 0, probes = 0, sparse = 0, layers = 0
        /// Every probe's layer, head and tokens, in order.
        var probed: [[Int]] = []
        var total: Int { dense + predictions + probes + sparse + layers }
    }

    struct Stop: Error {}

    /// A layer was probed that the prompt was not kept for.
    struct Unprobed: Error {}

    let kernel: AttentionKernel
    let layerCount = 2
    var tunedLayers: [Int] { Array(0..<layerCount) }
    /// By layer and head, in nats.
    let sensitivities: [[Double]]
    /// What a whole prompt loses over the sum of what its heads lose alone.
    let interaction: Double
    /// Answers are lost where this many nats are.
    let losesAnswersAt: Double
    /// The share of what an option costs that predictions say.
    let predicts: Double
    /// What a pass backward takes beside the second of every call.
    let predictionSeconds: Double
    /// The call that fails; nil for none.
    let stop: Int?
    let concurrentProbes: Int
    /// Goes on by a second at every call.
    let clock: ManualClock
    private let asked = Mutex(Calls())

    var calls: Calls { asked.withLock { $0 } }

    init(
        _ sensitivities: [[Double]] = [[0.02, 0.002], [0.02, 0.002]], interaction: Double = 1, losesAnswersAt: Double = 0.05,
        predicts: Double = 0.8, predictionSeconds: Double = 0, stop: Int? = nil, concurrentProbes: Int = 1,
        clock: ManualClock = ManualClock()
    ) throws {
        kernel = try AttentionKernel(instructionSet: .scalar, pool: WorkerPool(threads: concurrentProbes))
        self.concurrentProbes = concurrentProbes
        (self.sensitivities, self.interaction, self.losesAnswersAt) = (sensitivities, interaction, losesAnswersAt)
        (self.predicts, self.predictionSeconds, self.stop, self.clock) = (predicts, predictionSeconds, stop, clock)
    }

    func attentionShape(tokens: Int) -> AttentionShape {
        AttentionShape(queryHeads: 2, keyValueHeads: 1, queryCount: tokens, keyCount: tokens, headDimension: 8)
    }

    fileprivate func count(_ change: (inout Calls) -> Void) throws {
        clock.advance(by: .seconds(1))
        let total = asked.withLock { calls in
            change(&calls)
            return calls.total
        }
        if total == stop { throw Stop() }
    }

    func densePrefill(_ tokens: [Int32], probedFrom firstLayer: Int?, tap: AttentionTap?) throws -> any DensePrefill {
        try count { $0.dense += 1 }
        if let tap { try forEachLayer(tokens: tokens.count, tap.attended) }
        return MadePrefill(model: self, tokens: tokens, firstLayer: firstLayer ?? layerCount)
    }

    func predict(
        _ options: [HeadOption], on prompt: TuningPrompt, seed: UInt64, advance: (Double) -> Void
    ) throws -> [PredictedDamage] {
        try count { $0.predictions += 1 }
        clock.advance(by: .seconds(predictionSeconds))
        advance(0.5)
        return options.map { option in
            let damage = predicts * damage(option.parameters, layer: option.layer, head: option.head, tokens: prompt.tokens.count)
            return PredictedDamage(loss: damage, divergence: damage, answerDivergence: prompt.answers.isEmpty ? 0 : damage)
        }
    }

    /// Random layers that depend on their place and the length alone.
    func forEachLayer(tokens: Int, _ body: (LayerAttention) throws -> Void) throws {
        let shape = attentionShape(tokens: tokens)
        let buffer = AlignedBuffer<Float>(count: tokens * 2 * 8)
        let output = MutableHeadTensor(projection: buffer.base, heads: 2, tokens: tokens, dimension: 8)
        let plan = try AttentionPlan(shape: shape, patterns: [.dense, .dense])
        for layer in 0..<layerCount {
            try count { $0.layers += 1 }
            try NaiveAttention(shape: shape, seed: UInt64(1 + layer)).withTensors { query, key, value in
                kernel.run(plan, query: query, key: key, value: value, output: output, workspace: AttentionWorkspace())
                let inputs = LayerInputs(query: query, key: key, value: value)
                try body(LayerAttention(layer: layer, inputs: inputs, output: output.readOnly))
            }
        }
    }

    /// What a head leaves out, from 0 to 1.
    private static func share(_ parameters: SampleAttentionParameters, tokens: Int) -> Double {
        switch parameters.pattern {
        case .dense: 0
        case .window: max(0, 1 - Double(parameters.window.positions(promptLength: tokens)) / Double(tokens))
        case .stripeWindow, .columnSlash: 1 - parameters.alpha.value
        case .keyBlocks: max(0, 1 - Double(parameters.keyBlockCount * parameters.keyBlockTokens) / Double(tokens))
        }
    }

    /// Nats at every position when one head is as given and all others are dense.
    fileprivate func damage(_ parameters: SampleAttentionParameters, layer: Int, head: Int, tokens: Int) -> Double {
        Self.share(parameters, tokens: tokens) * sensitivities[layer][head]
    }

    /// Nats at every position under a policy.
    func damage(_ policy: AttentionPolicy, tokens: Int) -> Double {
        let heads = (0..<layerCount).flatMap { layer in
            policy.parameters(layer: layer, queryHeads: 2, promptLength: tokens)!.enumerated().map {
                damage($1, layer: layer, head: $0, tokens: tokens)
            }
        }
        return interaction * heads.reduce(0, +)
    }

    /// Full attention knows every token; sparse attention too, up to where answers are lost.
    fileprivate func divergence(of tokens: [Int32], damage: Double) -> Divergence {
        let next = Array(tokens.dropFirst()) + [0]
        return Divergence(
            divergences: Array(repeating: Float(damage), count: tokens.count),
            logProbabilities: Array(repeating: -Self.denseLoss - Float(damage), count: tokens.count - 1),
            referenceLogProbabilities: Array(repeating: -Self.denseLoss, count: tokens.count - 1),
            choices: damage < losesAnswersAt ? next : next.map { $0 + 1 }, referenceChoices: next)
    }
}

private struct MadePrefill: DensePrefill {
    let model: MadeModel
    let tokens: [Int32]
    let firstLayer: Int

    var cost: PrefillCost { PrefillCost(seconds: 2, attentionSeconds: 1, density: 1) }
    var concurrentProbes: Int { model.concurrentProbes }

    func fullAttention() -> Divergence { model.divergence(of: tokens, damage: 0) }

    func probe(_ parameters: SampleAttentionParameters, layer: Int, head: Int) throws -> Divergence {
        if layer < firstLayer { throw MadeModel.Unprobed() }
        try model.count {
            $0.probes += 1
            $0.probed.append([layer, head, tokens.count])
        }
        return model.divergence(of: tokens, damage: model.damage(parameters, layer: layer, head: head, tokens: tokens.count))
    }

    func sparsePrefill(_ policy: AttentionPolicy) throws -> SparsePrefill {
        try model.count { $0.sparse += 1 }
        return SparsePrefill(
            divergence: model.divergence(of: tokens, damage: model.damage(policy, tokens: tokens.count)),
            cost: PrefillCost(seconds: 1.5, attentionSeconds: 0.5, density: 0.5))
    }
}

/// The made model's layers as a source of their own.
struct MadeSource: LayerSource {
    let model: MadeModel
    let tokens: Int
    var kernel: AttentionKernel { model.kernel }
    var layers: [Int] { [0, 1] }
    var queryHeads: Int { 2 }
    var text: Provenance.Text { .init(name: "made", sha256: "ab\(tokens)") }

    func forEachLayer(_ body: (LayerAttention) throws -> Void) throws { try model.forEachLayer(tokens: tokens, body) }
}

/// A clock that goes on when it is told to.
final class ManualClock: Clock {
    struct Instant: InstantProtocol {
        var offset = Duration.zero
        func advanced(by duration: Duration) -> Instant { Instant(offset: offset + duration) }
        func duration(to other: Instant) -> Duration { other.offset - offset }
        static func < (a: Instant, b: Instant) -> Bool { a.offset < b.offset }
    }

    private let time = Mutex(Instant())
    var now: Instant { time.withLock { $0 } }
    var minimumResolution: Duration { .zero }

    func advance(by duration: Duration) { time.withLock { $0 = $0.advanced(by: duration) } }
    func sleep(until deadline: Instant, tolerance: Duration?) async throws { time.withLock { $0 = max($0, deadline) } }
}
