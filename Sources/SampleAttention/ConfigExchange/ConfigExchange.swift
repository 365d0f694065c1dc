import AttentionCore
import Foundation

/// Tuned configs as the files of other programs, and theirs as tuned configs.
///
/// Both relatives keep, per head, a fixed number of vertical lines (key columns) and slash lines (diagonals) that they choose
/// anew for every prompt from its last 64 queries. Here a window is a run of the nearest diagonals, and
///
/// | here | there |
/// |---|---|
/// | window + `columnCount` columns | `["vertical_and_slash", columnCount, window, score]` |
/// | window + columns that reach α | the same, with a count estimated from the measured density (`StripePairs`) |
/// | window + sinks, nothing else | `["stream_llm", sinks, window, score]`, or what the relative has in its place |
/// | dense | `["vertical_and_slash", length, length, score]` |
/// | column-slash | refused: blocks chosen by shares have no counterpart |
///
/// The score is the mean retained mass. Sampling, scoring, dense last rows and α have no place in the other files; coming back, a
/// head samples the last 64 rows and scores all mass, as the relatives do.
///
/// Source: MInference (arXiv 2407.02490), `minference/configs`; vLLM, `dual_chunk_flash_attn`.
public struct ConfigExchange: Sendable {
    /// Whose files.
    public enum Format: String, Sendable, CaseIterable {
        /// A file of MInference's `minference/configs`.
        case minference
        /// `sparse_attention_config.json` beside a model that vLLM runs with dual chunk attention.
        case vllm

        var rules: any ForeignFormat {
            switch self {
            case .minference: MInferenceFormat()
            case .vllm: VLLMFormat()
            }
        }
    }

    /// Queries at the prompt's end by which the relatives choose lines.
    static let lastQueries = 64

    public let format: Format
    /// The prompt length that windows and counts are for.
    public let length: Int
    let rules: any ForeignFormat

    /// - Throws: `InputError` (`usage`) when `length` is not positive or above 2³⁰.
    public init(format: Format, length: Int) throws(InputError) {
        guard (1...1 << 30).contains(length) else {
            throw InputError(.usage, field: "length", value: "\(length)", rule: "must be from 1 to \(1 << 30)")
        }
        self.format = format
        self.length = length
        rules = format.rules
    }

    /// A config in another program's words.
    public struct Export: Sendable {
        /// One list of heads a layer.
        public let layers: [[ForeignHead]]
        /// Heads whose number of columns is an estimate.
        public let estimatedHeads: Int
        /// What was lost, in one line.
        public let warning: String

        /// The file: a list with one object a layer, one layer a line.
        public var text: String { ForeignFile.text(layers) }
    }

    /// Another program's file as a config.
    public struct Import: Sendable {
        public let config: TunedConfig
        /// What was lost, in one line.
        public let warning: String
    }
}
