import AttentionCore
import AttentionTestSupport
import Foundation
import ModelFormats
import Testing

/// Numbers that the reference implementation gave (`golden/README.md`), bit for bit.
@Suite struct GGUFGoldenTests {
    private struct Sum: Decodable {
        let type: String
        let sha256: String

        enum CodingKeys: String, CodingKey {
            case type
            case sha256 = "sha256_f32_le"
        }
    }

    static let kinds = ["f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "q4_k", "q5_k", "q6_k"]

    private func open(_ kind: String) throws -> GGUFFile { try GGUFFile(goldenFolder().appending(path: "tiny-\(kind).gguf").path) }

    private func stored(_ tensor: GGUFTensor, in file: GGUFFile) throws -> [Float] {
        var values = [Float](repeating: .nan, count: tensor.rowCount * tensor.rowLength)
        try file.read(tensor.name, rows: 0..<tensor.rowCount, into: &values)
        return values
    }

    @Test(arguments: kinds) func everyTensorHasTheReferencesBits(kind: String) throws {
        let sums = try JSONDecoder().decode(
            [String: Sum].self, from: Data(contentsOf: goldenFolder().appending(path: "golden-sha256.json")))
        let file = try open(kind)
        // The table of rotary factors is no weight.
        let weights = file.tensors.filter { $0.name != "rope_freqs.weight" }
        #expect(weights.count == 20 && sums.keys.filter { $0.hasPrefix(kind + "/") }.count == 20)
        for tensor in weights {
            let sum = try #require(sums["\(kind)/\(tensor.name)"])
            #expect(tensor.type.name == sum.type)
            var digest = Digest()
            try stored(tensor, in: file).withUnsafeBytes { digest.add($0) }
            #expect(digest.hexadecimal() == sum.sha256, "\(tensor.name), \(tensor.type.name)")
        }
    }

    @Test(arguments: kinds.dropFirst(3)) func tensorsHaveTheReferencesNumbers(kind: String) throws {
        let golden = try SafetensorsFile(goldenFolder().appending(path: "golden.safetensors").path)
        let file = try open(kind)
        for name in ["blk.0.ffn_down.weight", "blk.0.attn_q.weight"] {
            let tensor = try file.tensor(name)
            var expected = [Float](repeating: 0, count: tensor.rowCount * tensor.rowLength)
            try golden.read("\(kind).\(name)", shape: tensor.shape, into: &expected)
            #expect(try stored(tensor, in: file) == expected)
        }
        var (expected, found) = ([Float](repeating: 0, count: 16 * 32), [Float](repeating: 1, count: 16 * 32))
        try golden.read("\(kind).token_embd.weight[:16]", shape: [16, 32], into: &expected)
        try file.read("token_embd.weight", rows: 0..<16, into: &found)
        #expect(found == expected)
    }

    /// Blocks of random bits, with scales of both signs, zero and subnormal; and rows out of the middle.
    @Test(arguments: ["BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K"])
    func randomBlocksHaveTheReferencesBits(type: String) throws {
        let path = goldenFolder().appending(path: "golden-blocks.safetensors")
        let golden = try SafetensorsFile(path.path)
        let (blocks, values) = try (golden.tensor(type + ".bytes"), golden.tensor(type + ".values"))
        let contents = try Data(contentsOf: path)
        let dataStart = 8 + contents.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        let bytes = contents[dataStart + blocks.bytes.lowerBound..<dataStart + blocks.bytes.upperBound]
        let (count, length) = (values.shape[0], values.shape[1])
        var expected = [Float](repeating: 0, count: count * length)
        try golden.read(values.name, shape: values.shape, into: &expected)

        let ids: [String: UInt32] = [
            "BF16": 30, "Q8_0": 8, "Q4_0": 2, "Q4_1": 3, "Q5_0": 6, "Q5_1": 7, "Q4_K": 12, "Q5_K": 13, "Q6_K": 14,
        ]
        var writer = GGUFWriter()
        writer.tensors = [.init("w", shape: [UInt64(count), UInt64(length)], type: ids[type]!, data: Array(bytes))]
        let directory = try TemporaryDirectory()
        let file = try GGUFFile(directory.write(writer.encoded(), to: "w.gguf"))
        let found = try stored(file.tensor("w"), in: file)
        #expect(found.map(\.bitPattern) == expected.map(\.bitPattern))
        var rows = [Float](repeating: 0, count: 2 * length)
        try file.read("w", rows: 5..<7, into: &rows)
        #expect(rows == Array(expected[5 * length..<7 * length]))
    }
}
