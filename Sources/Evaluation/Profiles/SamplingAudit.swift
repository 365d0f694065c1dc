import AttentionCore
import AttentionKernels
import AttentionLayers
import HeadProfiling
import SampleAttention
import SampleStatistics

/// How far the mass a selection saw in its sampled rows is from the mass it keeps in all of them.
///
/// For every rule and ratio of sampling, every head selects stripes for the same α; the retained mass is then measured over all
/// query rows. No rows are dense: the question is what sampling alone guarantees.
public struct SamplingAudit {
    /// A way of choosing rows.
    public struct Case: Sendable, Hashable, Codable {
        public let sampling: SampleAttentionParameters.Sampling
        public let ratio: Double
    }

    /// What one head kept in one case.
    public struct Outcome: Sendable, Hashable {
        /// The share of the sampled rows' mass the selection kept.
        public let sampledMass: Double
        public let retained: RetainedMass
        public let density: Double
    }

    public let cases: [Case]
    private let standard: SampleAttentionParameters
    private let seed: UInt64

    /// - Parameters:
    ///   - standard: α, window and scoring of every case; its sampling and ratio are replaced.
    ///   - seed: of random rows; every head draws its own.
    public init(
        standard: SampleAttentionParameters, rules: [SampleAttentionParameters.Sampling], ratios: [Fraction], seed: UInt64
    ) {
        self.standard = standard
        self.seed = seed
        cases = rules.flatMap { rule in ratios.map { Case(sampling: rule, ratio: $0.value) } }
    }

    /// Every case on every head of one prompt: `outcomes[case]` has one entry a head.
    ///
    /// - Parameter advance: called after each layer.
    /// - Throws: `InputError` (`invalidData`), naming layer and head, for a head that is not finite, and what the source throws.
    public func run(_ source: some LayerSource, advance: () -> Void = {}) throws -> [[Outcome]] {
        let sampleAttention = SampleAttentionOperator(kernel: source.kernel)
        let profiler = HeadProfiler(kernel: source.kernel)
        let workspace = AttentionWorkspace()
        var outcomes = [[Outcome]](repeating: [], count: cases.count)
        try source.forEachLayer { attention in
            let (layer, inputs) = (attention.layer, attention.inputs)
            let shape = inputs.shape
            let parameters = try cases.map { made in
                try (0..<shape.queryHeads).map { try self.parameters(made, layer: layer, head: $0) }
            }
            let selections = parameters.map {
                sampleAttention.select(inputs, parameters: $0, promptLength: shape.keyCount, workspace: workspace)
            }
            let patterns = (0..<shape.queryHeads).map { head in
                cases.indices.map { index in
                    SampleAttentionOperator.pattern(
                        parameters[index][head], selection: selections[index][head], shape: shape, promptLength: shape.keyCount)
                }
            }
            let retained = try profiler.retainedMasses(layer: layer, inputs: inputs, patterns: patterns, workspace: workspace)
            for index in cases.indices {
                outcomes[index] += (0..<shape.queryHeads).map { head in
                    Outcome(
                        sampledMass: selections[index][head].sampledMass ?? 1, retained: retained[head][index],
                        density: patterns[head][index].density(shape))
                }
            }
            advance()
        }
        return outcomes
    }

    private func parameters(_ made: Case, layer: Int, head: Int) throws(InputError) -> SampleAttentionParameters {
        var parameters = standard
        parameters.sampling = made.sampling
        parameters.sampleRatio = try Fraction(made.ratio, field: "ratio")
        var generator = SeededGenerator.derived(seed: seed, layer, head)
        parameters.samplingSeed = generator.next()
        parameters.denseLastRows = 0
        return parameters
    }
}

extension SamplingAudit {
    /// The distribution over heads of one case's true mean retained mass minus α.
    public struct Summary: Sendable, Hashable, Codable {
        public let sampling: SampleAttentionParameters.Sampling
        public let ratio: Double
        public let heads: Int
        /// Over heads: the mean, the 1st percentile and the least of (mean retained mass over all rows − α).
        public let mean, p1, least: Double
        /// The share of heads whose true mean stays below α.
        public let missed: Double
        /// The mean over heads of what the selection claimed above what it kept: sampled − true mass.
        public let optimism: Double
        /// Means over heads of the 1st percentile over queries, and of the least mass of any query (CRA).
        public let queryP1, queryLeast: Double
        /// Mean kept over causal pairs.
        public let density: Double

        public init(_ made: Case, _ outcomes: [Outcome], alpha: Double) {
            precondition(!outcomes.isEmpty, "an audit has heads")
            func mean(_ value: (Outcome) -> Double) -> Double { outcomes.reduce(0) { $0 + value($1) } / Double(outcomes.count) }
            let excess = outcomes.map { $0.retained.mean - alpha }
            let quantiles = Quantiles(excess)
            sampling = made.sampling
            ratio = made.ratio
            heads = outcomes.count
            self.mean = mean { $0.retained.mean - alpha }
            (p1, least) = (quantiles.at(0.01), quantiles.at(0))
            missed = Double(excess.count { $0 < 0 }) / Double(excess.count)
            optimism = mean { $0.sampledMass - $0.retained.mean }
            queryP1 = mean(\.retained.p1)
            queryLeast = mean(\.retained.minimum)
            density = mean(\.density)
        }
    }
}
