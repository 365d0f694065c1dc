import AttentionCore
import DurableFiles
import HeadProfiling
import RunProvenance
import SampleAttention

/// A prompt's profile: every layer, every head.
public struct PromptProfile: Sendable, Hashable, Codable {
    /// The name of the text, for people, and its SHA-256, which tells prompts apart.
    public let text, textSHA256: String
    /// Tokens.
    public let length: Int
    /// Of the measurement, prefill included.
    public let seconds: Double
    public let layers: [LayerProfile]

    public var heads: [HeadProfile] { layers.flatMap(\.heads) }
    /// Mean over heads.
    public var density: Double { heads.reduce(0) { $0 + $1.density } / Double(heads.count) }
}

/// One layer's heads on one prompt, and what lies between heads: the unit a profile's journal grows by.
public struct LayerProfile: Sendable, Hashable, Codable {
    /// The prompt: the SHA-256 of its text, and its tokens.
    public let textSHA256: String
    public let length: Int
    public let layer: Int
    /// Of this layer alone, the prefill up to it not included.
    public let seconds: Double
    public let heads: [HeadProfile]
    public let pictures: [AttentionPicture]
    /// Each head's selected columns.
    public let columns: [[Int32]]
    /// Each head's pattern, and what it was selected for.
    public let patterns: [HeadPattern]
    public let overlaps: Overlaps
    public let errors: [HeadError]

    /// What heads would lose by sharing columns; nil where no two heads have any.
    public struct Overlaps: Sendable, Hashable, Codable {
        /// With the other heads that read the same keys and values.
        public let withinGroup: ColumnOverlap?
        /// With the same head of the layer before.
        public let previousLayer: ColumnOverlap?
        /// With the same head on the first prompt of the same length.
        public let otherPrompt: ColumnOverlap?
    }
}

/// The measured output error of a head's pattern beside what Theorem 2 promises for it, in the L1 norm of a query's output.
public struct HeadError: Sendable, Hashable, Codable {
    /// R = max_j ‖V_j‖₁, and an upper bound of D = max_jk ‖V_j − V_k‖₁.
    public let radius, diameter: Double
    /// (1 − CRA)·D: no query's output can be further from the dense one, beside the kernel's rounding, which `largest` and `mean` hold
    /// too; `notebooks-md/theory.md` bounds it.
    public let bound: Double
    /// The largest distance of any query's output from the dense one, as the kernel computed both.
    public let largest: Double
    /// The mean over queries.
    public let mean: Double

    /// How far the bound is from what happens; nil where nothing is lost, or no more than rounding.
    public var vacuity: Double? { largest > 1e-5 * radius ? bound / largest : nil }
}

/// What a profile is of: the header of its journal.
public struct ProfileHeader: JournalHeader, Hashable {
    public var schemaVersion = 3
    public let model: ModelIdentity
    /// The prompts: SHA-256 of their texts.
    public let textSHA256: [String]
    /// The attention whose patterns are measured, with its parameters.
    public let attention: String
    public let scale: ProfileScale
    public let instructionSet, precision: String

    public init(
        model: ModelIdentity, textSHA256: [String], attention: String, scale: ProfileScale, instructionSet: String,
        precision: String
    ) {
        self.model = model
        self.textSHA256 = textSHA256
        self.attention = attention
        self.scale = scale
        self.instructionSet = instructionSet
        self.precision = precision
    }

    public func difference(from other: ProfileHeader) -> JournalDifference? {
        func texts(_ header: ProfileHeader) -> String { header.textSHA256.map { String($0.prefix(12)) }.joined(separator: ", ") }
        return .first(of: [
            ("schemaVersion", "\(schemaVersion)", "\(other.schemaVersion)"), ("model", model.summary, other.model.summary),
            ("textSHA256", texts(self), texts(other)), ("attention", attention, other.attention),
            ("scale", "\(scale.alphas)", "\(other.scale.alphas)"), ("instructionSet", instructionSet, other.instructionSet),
            ("precision", precision, other.precision),
        ])
    }
}

public typealias ProfileJournal = ResultJournal<ProfileHeader, LayerProfile>
