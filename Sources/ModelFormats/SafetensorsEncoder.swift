import Foundation

/// Builds a safetensors file of F32 tensors in memory, one after the other.
///
///     var encoder = SafetensorsEncoder()
///     encoder.append("layers.0.query", shape: [2, 3], values)
///     let file = encoder.encoded(metadata: ["model": "haystack-13m"])
///
/// Source: the safetensors format description (github.com/huggingface/safetensors).
public struct SafetensorsEncoder {
    private struct Entry: Encodable {
        let dtype = "F32"
        let shape, dataOffsets: [Int]

        enum CodingKeys: String, CodingKey {
            case dtype, shape
            case dataOffsets = "data_offsets"
        }
    }

    /// A tensor, or the file's own strings.
    private enum Member: Encodable {
        case tensor(Entry)
        case metadata([String: String])

        func encode(to encoder: any Encoder) throws {
            switch self {
            case .tensor(let entry): try entry.encode(to: encoder)
            case .metadata(let strings): try strings.encode(to: encoder)
            }
        }
    }

    private var members: [String: Member] = [:]
    private var data = Data()

    public init() {}

    /// Adds a tensor; `values` has as many elements as the shape, the last axis contiguous. Names must differ.
    public mutating func append(_ name: String, shape: [Int], _ values: [Float]) {
        precondition(values.count == shape.reduce(1, *), "as many values as the shape has elements")
        precondition(members[name] == nil, "a name stands for one tensor")
        let start = data.count
        // The format is little-endian, and so is every machine that the kernels run on.
        values.withUnsafeBytes { data.append(contentsOf: $0) }
        members[name] = .tensor(Entry(shape: shape, dataOffsets: [start, data.count]))
    }

    /// The whole file.
    public func encoded(metadata: [String: String] = [:]) -> Data {
        var members = members
        if !metadata.isEmpty { members["__metadata__"] = .metadata(metadata) }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Names, numbers and strings only, so encoding cannot fail.
        var header = try! encoder.encode(members)
        // Tensors begin at a multiple of 8 bytes.
        header.append(Data(repeating: UInt8(ascii: " "), count: (8 - header.count % 8) % 8))
        return withUnsafeBytes(of: UInt64(header.count).littleEndian) { Data($0) } + header + data
    }
}
