import AttentionCore
import AttentionKernels
import Autotuning
import LanguageModels
import SampleAttention
import SampleStatistics

/// What one head alone costs a model when it attends by given parameters and all others fully: predicted for every head from one pass
/// backward (`DamagePredictor`), and measured for some.
public struct SensitivityStudy {
    private let model: LanguageModel
    private let parameters: SampleAttentionParameters
    private let draws, probes: Int
    private let seed: UInt64

    /// One head's costs, in nats a token over all positions.
    public struct Head: Sendable, Encodable {
        public let layer, head: Int
        /// Kept over causal pairs.
        public let density: Double
        /// Σ_i ‖ΔO_i‖² / Σ_i ‖o_i‖².
        public let outputError: Double
        /// KL(full ‖ sparse).
        public let predictedDivergence: Double
        /// Of the text's negative log-likelihood.
        public let predictedLossChange: Double
        /// The same as the model gives it, for heads that were run.
        public internal(set) var measuredDivergence, measuredLossChange: Double?

        package init(
            layer: Int, head: Int, density: Double, outputError: Double, predictedDivergence: Double, predictedLossChange: Double,
            measuredDivergence: Double? = nil, measuredLossChange: Double? = nil
        ) {
            (self.layer, self.head, self.density, self.outputError) = (layer, head, density, outputError)
            (self.predictedDivergence, self.predictedLossChange) = (predictedDivergence, predictedLossChange)
            (self.measuredDivergence, self.measuredLossChange) = (measuredDivergence, measuredLossChange)
        }

        /// KL(full ‖ sparse) as measured, or else as predicted.
        ///
        /// - Parameter noise: what is measured up to here says only that there is no more; see `SensitivityStudy.noise`.
        public func knownDivergence(noise: Double) -> Double {
            measuredDivergence.map { $0 > noise ? $0 : .smaller($0, predictedDivergence) } ?? predictedDivergence
        }
    }

    /// KL that rounding alone makes where a head computes the same by another pattern, in nats a token: up to 5e-4 in BF16 and 1e-7 in FP32 were measured
    /// for patterns that leave nothing out.
    public static func noise(_ precision: Precision) -> Double {
        switch precision {
        case .fp32: 1e-6
        case .bf16: 5e-4
        }
    }

    /// Where a study is.
    public struct Progress: Sendable {
        public let done, total: Int
        public let status: String
    }

    /// - Parameters:
    ///   - parameters: what the heads try.
    ///   - draws: random roots of the scores' Fisher information, at least 1; the prediction's standard error falls with their root.
    ///   - probes: heads whose cost is measured too: half of them those predicted to cost most, the others drawn from the rest.
    public init(model: LanguageModel, parameters: SampleAttentionParameters, draws: Int, probes: Int, seed: UInt64) {
        precondition(draws >= 1 && probes >= 0, "there is something to predict by")
        (self.model, self.parameters, self.draws, self.probes, self.seed) = (model, parameters, draws, probes, seed)
    }

    /// By layer and head, of the layers that attend to everything.
    ///
    /// - Throws: as `GradientTrace`.
    /// Memory: as `GradientTrace`, with a gradient of each label set at one layer.
    public func run(_ tokens: [Int32], progress: (Progress) -> Void = { _ in }) throws -> [Head] {
        let layers = model.description.fullAttentionLayers
        if layers.isEmpty { return [] }
        let total = layers.count + min(probes, layers.count * model.description.queryHeads)
        var heads = try predicted(tokens, layers: layers) { done, layer in
            progress(Progress(done: done, total: total, status: "gradients, layer \(layer)"))
        }
        let probed = probed(heads)
        guard let first = probed.map({ heads[$0].layer }).min() else { return heads }
        let dense = try model.densePrefill(tokens, probedFrom: first, tap: nil)
        for (number, index) in probed.enumerated() {
            let divergence = try dense.probe(parameters, layer: heads[index].layer, head: heads[index].head)
            heads[index].measuredDivergence = divergence.meanDivergence
            let reference = divergence.referenceLogProbabilities.reduce(0) { $0 - Double($1) } / Double(max(1, tokens.count - 1))
            heads[index].measuredLossChange = divergence.negativeLogLikelihood - reference
            progress(
                Progress(
                    done: layers.count + number + 1, total: total, status: "probes, layer \(heads[index].layer), head \(heads[index].head)")
            )
        }
        return heads
    }

    private func predicted(
        _ tokens: [Int32], layers: [Int], advance: (_ done: Int, _ layer: Int) -> Void
    ) throws -> [Head] {
        let prompt = TuningPrompt(name: "", kind: .plain, tokens: tokens, answers: [], repetitions: [])
        let options = layers.flatMap { layer in
            (0..<model.description.queryHeads).map { HeadOption(layer: layer, head: $0, parameters: parameters) }
        }
        let predictions = try DamagePredictor(
            model: model, prompt: prompt, draws: draws, seed: seed
        ).run(options) { done in advance(done, layers[layers.count - done]) }
        return options.map { option in
            let own = predictions[option]!
            return Head(
                layer: option.layer, head: option.head, density: own.density, outputError: own.outputError,
                predictedDivergence: own.damage.divergence, predictedLossChange: own.damage.loss)
        }
    }

    /// Indices of the heads to measure, ascending.
    private func probed(_ heads: [Head]) -> [Int] {
        let order = heads.indices.sorted { (heads[$0].predictedDivergence, $1) > (heads[$1].predictedDivergence, $0) }
        let worst = order.prefix((probes + 1) / 2)
        var generator = SeededGenerator.derived(seed: seed, 1)
        return (worst + order.dropFirst(worst.count).shuffled(using: &generator).prefix(probes - worst.count)).sorted()
    }
}

extension SensitivityStudy {
    /// How well predictions of KL agree with what was measured.
    public struct Agreement: Sendable, Encodable {
        /// Heads that were measured and for which both are above 0, and one above what rounding makes.
        public let heads: Int
        /// Of the logarithms.
        public let correlation: Double
        /// Measured over predicted: 5th percentile, median and 95th.
        public let ratioP5, ratioMedian, ratioP95: Double
        /// How many of the ten heads that cost most were predicted to be among those ten, of the heads that were measured; nil for fewer than twenty.
        public let worstTenFound: Int?

        /// Nil for fewer than three heads.
        ///
        /// - Parameter noise: see `SensitivityStudy.noise`.
        public init?(_ heads: [Head], noise: Double) {
            let pairs = heads.compactMap { head in
                head.measuredDivergence.map { (predicted: head.predictedDivergence, measured: $0) }
            }.filter { $0.predicted > 0 && $0.measured > 0 && Double.larger($0.predicted, $0.measured) > noise }
            guard pairs.count >= 3 else { return nil }
            self.heads = pairs.count
            correlation = Self.correlation(pairs.map { (logarithm($0.predicted), logarithm($0.measured)) })
            let ratios = Quantiles(pairs.map { $0.measured / $0.predicted })
            (ratioP5, ratioMedian, ratioP95) = (ratios.at(0.05), ratios.at(0.5), ratios.at(0.95))
            func worst(_ value: (Int) -> Double) -> Set<Int> { Set(pairs.indices.sorted { value($0) > value($1) }.prefix(10)) }
            worstTenFound =
                pairs.count < 20 ? nil : worst { pairs[$0].measured }.intersection(worst { pairs[$0].predicted }).count
        }

        private static func correlation(_ pairs: [(Double, Double)]) -> Double {
            let n = Double(pairs.count)
            let (x, y) = (pairs.reduce(0) { $0 + $1.0 } / n, pairs.reduce(0) { $0 + $1.1 } / n)
            let products = pairs.reduce(0) { $0 + ($1.0 - x) * ($1.1 - y) }
            let squares = pairs.reduce(0) { $0 + ($1.0 - x) * ($1.0 - x) } * pairs.reduce(0) { $0 + ($1.1 - y) * ($1.1 - y) }
            return products / squares.squareRoot()
        }
    }
}
