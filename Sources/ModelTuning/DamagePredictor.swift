import AttentionCore
import AttentionKernels
import Autotuning
import LanguageModels
import SampleAttention

/// One head that attends by some parameters while all others attend fully.
public struct HeadOption: Hashable, Sendable {
    public let layer, head: Int
    public let parameters: SampleAttentionParameters

    public init(layer: Int, head: Int, parameters: SampleAttentionParameters) {
        (self.layer, self.head, self.parameters) = (layer, head, parameters)
    }
}

/// What a head's option costs the model on a prompt, as gradients predict it; in nats, a mean over tokens each.
public struct PredictedDamage: Hashable, Sendable, Codable {
    /// The change of the text's loss outside answers and repetitions, to first order; nil where it was not asked for.
    public let loss: Double?
    /// KL(full ‖ sparse) over all positions, to second order.
    public let divergence: Double
    /// The same at the tokens of answers, at most `Quality.mostAnswerDivergence`; 0 where there are none.
    public let answerDivergence: Double

    public init(loss: Double? = nil, divergence: Double, answerDivergence: Double) {
        (self.loss, self.divergence, self.answerDivergence) = (loss, divergence, answerDivergence)
    }
}

/// Predicts what options of heads cost from one pass backward through a prompt, whatever their number.
///
/// With ΔO_i the change at row i of the head's output and g_i the gradient there of the log-probabilities of labels that are drawn from the
/// model's own distribution, ½ · E[Σ_i (g_i · ΔO_i)²] is the KL divergence that the change causes, to second order (Fisher information;
/// covariances between rows, which are small, left out). With the text's own labels Σ_i g_i · ΔO_i is the change of the text's
/// log-likelihood, to first order. What a large change does is not quadratic any more, and is better measured.
struct DamagePredictor {
    let model: LanguageModel
    let prompt: TuningPrompt
    /// Labels drawn for each position, and for each position before a token of an answer where there are any; at least 1. The prediction's
    /// standard error falls with their root.
    let draws: Int, answerDraws: Int
    let seed: UInt64
    /// Whether the change of the text's own loss is predicted as well, which takes labels of its own.
    let predictsLoss: Bool

    struct Prediction {
        let damage: PredictedDamage
        let density, outputError: Double
    }

    /// - Parameter advance: called after each layer with the number that are done.
    /// - Throws: as `GradientTrace`.
    func run(_ options: [HeadOption], advance: (_ layers: Int) -> Void = { _ in }) throws -> [HeadOption: Prediction] {
        guard let firstLayer = options.map(\.layer).min() else { return [:] }
        let byLayer = Dictionary(grouping: options, by: \.layer)
        let trace = try GradientTrace(prompt.tokens, model: model)
        let workspace = AttentionWorkspace()
        var found: [HeadOption: Prediction] = [:]
        var done = 0
        try trace.takeBack(labels, downTo: firstLayer) { layer in
            guard let own = byLayer[layer.layer] else { return }
            let meter = try HeadMeter(layer.attention, kernel: model.kernel, workspace: workspace)
            for round in Self.rounds(own, heads: model.description.queryHeads) {
                let measured = try meter.measure(round.map { $0?.parameters ?? .window(tokens: 1, sinks: 0) })
                let products = meter.products(with: layer.gradients)
                for case let (head, option?) in round.enumerated() {
                    found[option] = prediction(products[head], measured[head])
                }
            }
            done += 1
            advance(done)
        }
        return found
    }

    /// One option a head at a time; nil for a head that has none left.
    private static func rounds(_ options: [HeadOption], heads: Int) -> [[HeadOption?]] {
        let own = (0..<heads).map { head in options.filter { $0.head == head } }
        let count = own.map(\.count).max() ?? 0
        return (0..<count).map { round in own.map { $0.indices.contains(round) ? $0[round] : nil } }
    }

    private var asked: [Range<Int>] { prompt.answers.map { $0.lowerBound - 1..<$0.upperBound - 1 } }

    /// The positions whose next token is neither in an answer nor in a repetition.
    private var plain: [Range<Int>] {
        var left: [Range<Int>] = []
        var start = 0
        for span in (prompt.answers + prompt.repetitions).sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if span.lowerBound - 1 > start { left.append(start..<span.lowerBound - 1) }
            start = max(start, span.upperBound - 1)
        }
        if start < prompt.tokens.count - 1 { left.append(start..<prompt.tokens.count - 1) }
        return left
    }

    /// Drawn ones at all positions, then at answers alone, then the text's own.
    private var labels: [GradientLabels] {
        var generator = SeededGenerator(seed: seed)
        let drawn = (0..<draws).map { _ in GradientLabels.drawn(seed: generator.next()) }
        let atAnswers = (0..<answerDraws).map { _ in
            var labels = GradientLabels.drawn(seed: generator.next())
            labels.positions = asked
            return labels
        }
        var text = GradientLabels.text
        text.positions = plain
        return drawn + (prompt.answers.isEmpty ? [] : atAnswers) + (predictsLoss ? [text] : [])
    }

    private func prediction(_ products: [HeadMeter.GradientProduct], _ measured: HeadMeter.Measurement) -> Prediction {
        func tokens(_ spans: [Range<Int>]) -> Double { Double(max(1, spans.reduce(0) { $0 + $1.count })) }
        func divergence(_ own: ArraySlice<HeadMeter.GradientProduct>, over count: Double) -> Double {
            own.isEmpty ? 0 : 0.5 * own.reduce(0) { $0 + $1.squares } / (Double(own.count) * count)
        }
        let atAnswers = prompt.answers.isEmpty ? [] : products[draws..<draws + answerDraws]
        return Prediction(
            damage: PredictedDamage(
                loss: predictsLoss ? -products.last!.sum / tokens(plain) : nil,
                divergence: divergence(products[..<draws], over: Double(prompt.tokens.count)),
                answerDivergence: .smaller(Quality.mostAnswerDivergence, divergence(atAnswers, over: tokens(asked)))),
            density: measured.density, outputError: measured.outputError)
    }
}
