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
    /// The change of the text's loss outside answers and repetitions, to first order.
    public let loss: Double
    /// KL(full ‖ sparse) over all positions, to second order.
    public let divergence: Double
    /// The same at the tokens of answers, at most `Quality.mostAnswerDivergence`; 0 where there are none.
    public let answerDivergence: Double

    public init(loss: Double, divergence: Double, answerDivergence: Double) {
        (self.loss, self.divergence, self.answerDivergence) = (loss, divergence, answerDivergence)
    }
}

/// Predicts what options of heads cost from one pass backward through a prompt, whatever their number.
///
/// With ΔO_i the change at row i of the head's output and g_i the gradient there from random roots of the scores' Fisher information
/// (`GradientLabels.fisher`), ½ · E[Σ_i (g_i · ΔO_i)²] is the KL divergence that the change causes, to second order (covariances between rows,
/// which are small, left out). With the text's own labels Σ_i g_i · ΔO_i is the change of the text's
/// log-likelihood, to first order. What a large change does is not quadratic any more, and is better measured.
struct DamagePredictor {
    let model: LanguageModel
    let prompt: TuningPrompt
    /// Random roots over all positions, at least 1; the prediction's standard error falls with their root. There is one more over the
    /// positions before tokens of answers, where there are any.
    let draws: Int
    let seed: UInt64

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

    /// Random roots at all positions, the text's own labels, then a random root at answers alone.
    private var labels: [GradientLabels] {
        var generator = SeededGenerator(seed: seed)
        let everywhere = (0..<draws).map { _ in GradientLabels.fisher(seed: generator.next()) }
        var text = GradientLabels.text
        text.positions = plain
        if prompt.answers.isEmpty { return everywhere + [text] }
        var atAnswers = GradientLabels.fisher(seed: generator.next())
        atAnswers.positions = asked
        return everywhere + [text, atAnswers]
    }

    private func prediction(_ products: [HeadMeter.GradientProduct], _ measured: HeadMeter.Measurement) -> Prediction {
        func tokens(_ spans: [Range<Int>]) -> Double { Double(max(1, spans.reduce(0) { $0 + $1.count })) }
        let squares = products[..<draws].reduce(0) { $0 + $1.squares }
        let atAnswers = prompt.answers.isEmpty ? 0 : 0.5 * products[draws + 1].squares / tokens(asked)
        return Prediction(
            damage: PredictedDamage(
                loss: -products[draws].sum / tokens(plain), divergence: 0.5 * squares / Double(draws * prompt.tokens.count),
                answerDivergence: .smaller(Quality.mostAnswerDivergence, atAnswers)),
            density: measured.density, outputError: measured.outputError)
    }
}
