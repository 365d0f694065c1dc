import AttentionKernels
import AttentionTestSupport
import Foundation
import LanguageModels
import ModelFormats
import Parallelism
import RunProvenance
import SampleAttention
import Testing

/// Models in GGUF files against the reference's scores with the same dequantised weights.
@Suite struct GGUFTests {
    /// Beside the goldens of the reader of such files, which made them.
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("ModelFormatsTests/golden/gguf")
    static let types = ["f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "q4_k", "q5_k", "q6_k"]

    static func load(_ type: String) throws -> LanguageModel {
        try LanguageModel.load(
            from: folder.appendingPathComponent("tiny-\(type).gguf").path, kernel: AttentionKernel(pool: WorkerPool(threads: 2)))
    }

    @Test(arguments: types) func scoresAreWithin2e4(type: String) throws {
        let model = try Self.load(type)
        let file = try SafetensorsFile(Self.folder.appendingPathComponent("golden.safetensors").path)
        let tokens = try file.integers("ids", shape: [48])
        let expected = try FamilyTests.floats(file, "\(type).logits")
        let width = model.description.vocabularySize
        #expect(expected.count == 8 * width)
        for row in 0..<8 {
            let own = try FamilyTests.last(model, tokens[..<(41 + row)])
            let difference = FamilyTests.largestDifference(own, expected[row * width..<(row + 1) * width])
            #expect(difference < 2e-4, "position \(40 + row): \(difference)")
        }
    }

    /// The vocabulary comes from the file, and what tells the model from others too.
    @Test func isAWholeModel() throws {
        let model = try Self.load("q8_0")
        let tokens = try model.promptTokens(for: "hello world")
        #expect(tokens.count > 2 && model.unreadTensors.isEmpty)
        #expect(try model.generate(tokens, maxTokens: 3, policy: .dense, sampler: TokenSampler()).tokens.count <= 3)
        let identities = try ["q8_0", "q4_0"].map { try Self.load($0).identity() }
        #expect(try identities[0] == model.identity() && identities[0].family == "llama")
        #expect(
            identities[0].weightsSHA256 != identities[1].weightsSHA256 && identities[0].tokenizerSHA256 != identities[1].tokenizerSHA256)
    }
}
