/// How a tensor of a GGUF file stores its numbers.
///
/// Source: `enum ggml_type` of ggml (github.com/ggml-org/ggml).
public struct GGMLType: Hashable, Sendable {
    /// ggml's number for the type.
    public let id: UInt32

    /// ggml's name for the type, such as "Q4_K"; its number where it has none that is known.
    public var name: String { format?.name ?? Self.otherNames[id] ?? "type \(id)" }

    /// How the type is read, or nil when it cannot be.
    var format: GGMLFormat? { GGMLFormat(rawValue: id) }

    /// Types that are known by name only.
    private static let otherNames: [UInt32: String] = [
        4: "Q4_2", 5: "Q4_3", 9: "Q8_1", 10: "Q2_K", 11: "Q3_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S",
        20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M",
        31: "Q4_0_4_4", 32: "Q4_0_4_8", 33: "Q4_0_8_8", 34: "TQ1_0", 35: "TQ2_0", 36: "IQ4_NL_4_4", 37: "IQ4_NL_4_8", 38: "IQ4_NL_8_8",
        39: "MXFP4", 40: "NVFP4", 41: "Q1_0",
    ]
}

/// The types that can be read. Numbers stand in blocks, each of which has scales of its own; a row is a whole number of blocks.
enum GGMLFormat: UInt32, CaseIterable {
    case float32 = 0
    case float16 = 1
    case q4x0 = 2
    case q4x1 = 3
    case q5x0 = 6
    case q5x1 = 7
    case q8x0 = 8
    case q4K = 12
    case q5K = 13
    case q6K = 14
    case bfloat16 = 30

    var name: String {
        switch self {
        case .float32: "F32"
        case .float16: "F16"
        case .bfloat16: "BF16"
        case .q4x0: "Q4_0"
        case .q4x1: "Q4_1"
        case .q5x0: "Q5_0"
        case .q5x1: "Q5_1"
        case .q8x0: "Q8_0"
        case .q4K: "Q4_K"
        case .q5K: "Q5_K"
        case .q6K: "Q6_K"
        }
    }

    /// Numbers in a block.
    var blockLength: Int {
        switch self {
        case .float32, .float16, .bfloat16: 1
        case .q4x0, .q4x1, .q5x0, .q5x1, .q8x0: 32
        case .q4K, .q5K, .q6K: 256
        }
    }

    /// Bytes of a block.
    var blockSize: Int {
        switch self {
        case .float32: 4
        case .float16, .bfloat16: 2
        case .q4x0: 18
        case .q4x1: 20
        case .q5x0: 22
        case .q5x1: 24
        case .q8x0: 34
        case .q4K: 144
        case .q5K: 176
        case .q6K: 210
        }
    }

    /// The names of all of them, for messages.
    static let names = allCases.map(\.name).joined(separator: ", ")
}
