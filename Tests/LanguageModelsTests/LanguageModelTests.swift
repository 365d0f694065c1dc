import AttentionCore
import AttentionKernels
import Foundation
import HaystackModel
import LanguageModels
import ModelFormats
import Parallelism
import RunProvenance
import SampleAttention
import Testing

@Suite struct LanguageModelTests {
    static func load() throws -> LanguageModel {
        try LanguageModel.load(from: HaystackModel.modelDirectory.path, kernel: AttentionKernel(pool: WorkerPool(threads: 2)))
    }

    @Test func refusesWhatDoesNotFit() throws {
        let model = try Self.load()
        let cache = try model.makeCache(capacity: 4)
        #expect(throws: InputError.self) { try model.prefill([], cache: cache, policy: .dense) }
        #expect(throws: InputError.self) { try model.prefill([1, 2, 3, 4, 5], cache: cache, policy: .dense) }
        #expect(throws: InputError.self) { try model.prefill([4096], cache: cache, policy: .dense) }
        #expect(throws: InputError.self) { try model.prefill([-1], cache: cache, policy: .dense) }
    }

    /// Rounding every operand to BF16 moves the loss by less than a hundredth of a nat and few first choices.
    @Test func bf16AgreesWithFP32() throws {
        let text = try String(contentsOf: HaystackModel.texts[1], encoding: .utf8)
        let scores = try Precision.allCases.map { precision in
            let model = try LanguageModel.load(
                from: HaystackModel.modelDirectory.path, kernel: AttentionKernel(precision: precision, pool: WorkerPool(threads: 2)))
            return try model.score(Array(model.promptTokens(for: String(text.prefix(6000))).prefix(1000)), policy: .dense)
        }
        #expect(abs(scores[0].negativeLogLikelihood - scores[1].negativeLogLikelihood) < 0.01)
        let equal = zip(scores[0].firstChoices, scores[1].firstChoices).filter { $0 == $1 }.count
        #expect(equal > 970 && equal < 1000, "\(equal) of 1000")
    }

    @Test func samplerIsSeededAndGreedyAtZero() throws {
        let logits: [Float] = [0, 3, 3, -1, 2.5]
        var greedy = try TokenSampler()
        #expect(greedy.next(logits) == 1)
        func draws(_ seed: UInt64, topP: Double) throws -> [Int32] {
            var sampler = try TokenSampler(temperature: 1, topP: Fraction(topP), seed: seed)
            return (0..<200).map { _ in sampler.next(logits) }
        }
        #expect(try draws(7, topP: 1) == draws(7, topP: 1))
        #expect(try draws(7, topP: 1) != draws(8, topP: 1))
        #expect(Set(try draws(7, topP: 1)).isSuperset(of: [1, 2, 4]))
        // 1 and 2 hold 77 % of the probability: a nucleus of 0.7 is just those two.
        #expect(Set(try draws(7, topP: 0.7)) == [1, 2])
        #expect(throws: InputError.self) { try TokenSampler(temperature: -1) }
        #expect(throws: InputError.self) { try TokenSampler(temperature: .nan) }
    }

    /// A source shows what the layer attended with: recomputing attention from it gives the layer's output.
    @Test func aPromptsLayersAreWhatTheModelAttendedWith() throws {
        let model = try Self.load()
        let tokens = try model.promptTokens(for: String(repeating: "The whale breached again. ", count: 12))
        var layers: [Int] = []
        try PromptLayers(tokens, of: .init(name: "whale", sha256: "aa"), model: model).forEachLayer { attention in
            let (inputs, output) = (attention.inputs, attention.output)
            layers.append(attention.layer)
            #expect(inputs.shape.queryHeads == 6 && inputs.shape.keyValueHeads == 2 && inputs.shape.keyCount == tokens.count)
            let count = output.tokens * output.heads * output.dimension
            let again = AlignedBuffer<Float>(count: count)
            let plan = try AttentionPlan(shape: inputs.shape, patterns: Array(repeating: .dense, count: 6))
            model.kernel.run(
                plan, query: inputs.query, key: inputs.key, value: inputs.value,
                output: MutableHeadTensor(projection: again.base, heads: 6, tokens: output.tokens, dimension: 64),
                workspace: AttentionWorkspace())
            #expect((0..<count).allSatisfy { again[$0] == output.base[$0] })
        }
        #expect(layers == Array(0..<8))
    }

    @Test func estimateReproducesTheReviewsFigures() throws {
        let estimate = PrefillEstimate(
            shape: try .named("ChatGLM2-6B"), length: 80_000, keptKeys: 2_800, sampleRatio: try Fraction(0.05), bytesPerElement: 2)
        #expect(estimate.review.fullOperations == 8.192e11)
        #expect(estimate.review.sparseOperations == 2.8672e10)
        #expect(estimate.review.fullScoreBytes == 25.6e9)
        #expect(estimate.review.sparseScoreBytes == 896e6)
        #expect(abs(estimate.review.fullTotalBytes - 823e9) < 1e9)
        #expect(abs(estimate.review.sparseTotalBytes - 28.7e9) < 0.1e9)
        // Causal pairs by definition.
        #expect(estimate.complete.causalPairs == 80_000.0 * 80_001 / 2)
        #expect(estimate.complete.keptPairs == (1...80_000).reduce(0.0) { $0 + Double(min($1, 2_800)) })
        #expect(throws: InputError.self) { try DecoderShape.named("gpt-5") }
        for name in ["internlm2-7b", "llama-3.1-8b", "qwen2.5-7b"] { #expect(try DecoderShape.named(name).headDimension == 128) }
    }
}
