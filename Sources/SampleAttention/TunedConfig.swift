import AttentionCore
import AttentionKernels

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
        self.denseBelow = denseBelow
        self.defaults = defaults
        self.buckets = buckets
    }

    /// What makes a model the same model.
    public struct ModelIdentity: Hashable, Sendable, Codable {
        public var family: String
        public var layers, queryHeads, keyValueHeads, headDimension: Int
        public var weightsSHA256, tokenizerSHA256: String

        public init(
            family: String, layers: Int, queryHeads: Int, keyValueHeads: Int, headDimension: Int, weightsSHA256: String,
            tokenizerSHA256: String
        ) {
            self.family = family
            self.layers = layers
            self.queryHeads = queryHeads
            self.keyValueHeads = keyValueHeads
            self.headDimension = headDimension
            self.weightsSHA256 = weightsSHA256
            self.tokenizerSHA256 = tokenizerSHA256
        }

        /// One line that tells two models apart.
        public var summary: String {
            "\(family) \(layers) layers \(queryHeads)/\(keyValueHeads) heads of \(headDimension), weights \(weightsSHA256.prefix(12)), "
                + "tokenizer \(tokenizerSHA256.prefix(12))"
        }
    }

    /// Where a set of numbers came from.
    public struct Provenance: Hashable, Sendable, Codable {
        public var tool: Tool
        public var machine: Machine
        public var seed: UInt64
        public var texts: [Text]
        public var lengths: [Int]
        /// ISO 8601, UTC.
        public var date: String

        public struct Tool: Hashable, Sendable, Codable {
            public var version, commit: String
            public init(version: String, commit: String) {
                self.version = version
                self.commit = commit
            }
        }

        public struct Machine: Hashable, Sendable, Codable {
            public var cpu, instructionSet: String
            public var threads: Int
            /// The format of the kernel's matrix products; FP32 in files that do not say.
            public var precision: Precision

            public init(cpu: String, instructionSet: String, threads: Int, precision: Precision) {
                self.cpu = cpu
                self.instructionSet = instructionSet
                self.threads = threads
                self.precision = precision
            }

            public init(from decoder: any Decoder) throws {
                let container = try decoder.container(keyedBy: CodingKeys.self)
                self.init(
                    cpu: try container.decode(String.self, forKey: .cpu),
                    instructionSet: try container.decode(String.self, forKey: .instructionSet),
                    threads: try container.decode(Int.self, forKey: .threads),
                    precision: try container.decodeIfPresent(Precision.self, forKey: .precision) ?? .fp32)
            }
        }

        public struct Text: Hashable, Sendable, Codable {
            public var name, sha256: String
            public init(name: String, sha256: String) {
                self.name = name
                self.sha256 = sha256
            }
        }

        public init(tool: Tool, machine: Machine, seed: UInt64, texts: [Text], lengths: [Int], date: String) {
            self.tool = tool
            self.machine = machine
            self.seed = seed
            self.texts = texts
            self.lengths = lengths
            self.date = date
        }
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
        /// value, and its probability goes through memory: 0.65 to 0.8 of a kept pair's time (`bench selection`).
        public var cost: Double {
            switch parameters.pattern {
            case .dense: 1
            case .window: measured.density
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
