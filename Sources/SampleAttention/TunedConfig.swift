import AttentionCore
import AttentionKernels
import RunProvenance

/// Parameters for every layer and head of one model, with what they were measured by and where they came from.
///
/// The file is JSON with sorted keys; `tuned-config.schema.json` describes it. A config for another model or of an unknown
/// schema is an error, other hardware a warning, a missing head the defaults, no file dense attention.
public struct TunedConfig: Hashable, Sendable, Codable {
    /// The only schema this version reads and writes.
    public static let currentSchema = 1

    public var schemaVersion = Self.currentSchema
    public var model: ModelIdentity
    public var provenance: Provenance
    /// Prompts shorter than this are prefilled densely.
    public var denseBelow: Int
    /// For heads that no bucket names.
    public var defaults: SampleAttentionParameters
    /// Ascending in length.
    public var buckets: [Bucket]

    public init(
        model: ModelIdentity, provenance: Provenance, denseBelow: Int, defaults: SampleAttentionParameters, buckets: [Bucket]
    ) {
        self.model = model
        self.provenance = provenance
        // What was chosen is the same every time, but for its date.
        self.provenance.threadsBusy = nil
        self.denseBelow = denseBelow
        self.defaults = defaults
        self.buckets = buckets
    }

    /// One tuned prompt length: `layers[layer][head]`.
    public struct Bucket: Hashable, Sendable, Codable {
        public var length: Int
        public var layers: [[Head]]
        public init(length: Int, layers: [[Head]]) {
            self.length = length
            self.layers = layers
        }
    }

    /// A head's parameters beside the measurements they were chosen by.
    public struct Head: Hashable, Sendable, Codable {
        public var parameters: SampleAttentionParameters
        public var measured: Measurement
        public init(parameters: SampleAttentionParameters, measured: Measurement) {
            self.parameters = parameters
            self.measured = measured
        }

        /// Work relative to dense attention: kept pairs plus sampled pairs over causal pairs. A sampled pair has a score but no
        /// value, and its probability goes through memory: 0.65 to 0.8 of a kept pair's time (`bench selection`). Key blocks have all pairs
        /// scored in eight bits, in a seventh (FP32) to a quarter (BF16) of dense attention's time.
        public var cost: Double {
            switch parameters.pattern {
            case .dense: 1
            case .window: measured.density
            case .keyBlocks: measured.density + 0.2
            case .stripeWindow, .columnSlash: measured.density + 0.7 * parameters.sampleRatio.value
            }
        }
    }

    /// What a head keeps, spoils and costs on the tuning text at the bucket's length.
    public struct Measurement: Hashable, Sendable, Codable {
        /// Retained mass over query rows.
        public var meanMass, p1Mass, minMass: Double
        /// Kept over causal pairs.
        public var density: Double
        /// Mean over rows of ‖o − ô‖₂² over that of ‖o‖₂²; nil where it was not measured.
        public var outputError: Double?
        /// The head's share of the attention's time, by the machine's latency model; nil where none was asked.
        public var milliseconds: Double?

        public init(
            meanMass: Double, p1Mass: Double, minMass: Double, density: Double, outputError: Double? = nil, milliseconds: Double? = nil
        ) {
            self.meanMass = meanMass
            self.p1Mass = p1Mass
            self.minMass = minMass
            self.density = density
            self.outputError = outputError
            self.milliseconds = milliseconds
        }

        /// What full attention is: nothing lost.
        public static func dense(milliseconds: Double? = nil) -> Measurement {
            Measurement(meanMass: 1, p1Mass: 1, minMass: 1, density: 1, outputError: 0, milliseconds: milliseconds)
        }
    }

    /// One entry a query head of a layer, for a prompt of this length: from the bucket nearest in ratio of lengths (the
    /// shorter one when two are equally near); dense below `denseBelow`.
    public func parameters(layer: Int, promptLength: Int) -> [SampleAttentionParameters] {
        if promptLength < denseBelow { return Array(repeating: .dense, count: model.queryHeads) }
        let nearest = nearestBucket(promptLength: promptLength).map { buckets[$0] }
        return (0..<model.queryHeads).map { head in
            guard let nearest, layer < nearest.layers.count, head < nearest.layers[layer].count else { return defaults }
            return nearest.layers[layer][head].parameters
        }
    }

    /// The index of the bucket nearest in ratio of lengths, the shorter one when two are equally near; nil without buckets.
    ///
    /// `denseBelow` plays no part. O(buckets).
    public func nearestBucket(promptLength: Int) -> Int? {
        buckets.indices.min { Self.distance(buckets[$0].length, promptLength) < Self.distance(buckets[$1].length, promptLength) }
    }

    private static func distance(_ a: Int, _ b: Int) -> Double { Double(max(a, b)) / Double(max(1, min(a, b))) }
}
