import AttentionCore
import AttentionKernels
import AttentionTestSupport
import Foundation
import HaystackModel
import LanguageModels
import ModelFormats
import Parallelism
import SampleAttention
import Testing

/// The bundled model against Hugging Face transformers 5 in FP32 (`golden/README.md` says how the files were made).
@Suite(.serialized) struct GoldenTests {
    static let lengths = [1, 2, 17, 64, 500, 2048]
    static let golden = Bundle.module.bundleURL.appendingPathComponent("golden")

    let model: LanguageModel
    let file: SafetensorsFile

    init() throws {
        model = try LanguageModel.load(
            from: HaystackModel.modelDirectory.path, kernel: AttentionKernel(pool: WorkerPool(threads: 2)))
        file = try SafetensorsFile(Self.golden.appendingPathComponent("haystack-13m-logits.safetensors").path)
    }

    func floats(_ name: String, _ shape: [Int]) throws -> [Float] {
        let buffer = AlignedBuffer<Float>(count: shape.reduce(1, *))
        try file.read(name, shape: shape, into: buffer.base)
        return Array(buffer.elements)
    }

    func largestDifference(_ a: [Float], _ b: [Float]) -> Float {
        #expect(a.count == b.count)
        return Float(zip(a, b).reduce(0.0) { worse($0, Double(abs($1.0 - $1.1))) })
    }

    @Test(arguments: lengths) func lastPositionLogitsAreWithin2e3(length: Int) throws {
        let tokens = try file.integers("ids_\(length)", shape: [length])
        let prefill = try model.prefill(tokens, cache: model.makeCache(capacity: length), policy: .dense)
        let expected = try floats("last_logits_\(length)", [4096])
        let difference = largestDifference(prefill.logits, expected)
        #expect(difference < 2e-3, "\(difference)")
    }

    @Test(arguments: lengths.filter { $0 > 1 }) func nextTokenLogProbabilitiesAreWithin1e3(length: Int) throws {
        let tokens = try file.integers("ids_\(length)", shape: [length])
        let scores = try model.score(tokens, policy: .dense)
        let expected = try floats("next_token_logprobs_\(length)", [length - 1])
        let difference = largestDifference(scores.nextLogProbabilities, expected)
        #expect(difference < 1e-3, "\(difference)")
    }

    struct HiddenStates: ForwardObserver {
        var depths: [[Float]] = []
        func attended(_ attention: LayerAttention) {}
        mutating func reached(depth: Int, hidden: UnsafeBufferPointer<Float>) { depths.append(Array(hidden)) }
    }

    @Test func hiddenStatesOfEveryLayerAreWithin1e3Relative() throws {
        let tokens = try file.integers("ids_64", shape: [64])
        var states = HiddenStates()
        _ = try model.prefill(tokens, cache: model.makeCache(capacity: 64), policy: .dense, observer: &states)
        #expect(states.depths.count == 9)
        for (depth, state) in states.depths.enumerated() {
            let expected = try floats("hidden_\(depth)_64", [64, 384])
            let scale = expected.reduce(Float(0)) { max($0, abs($1)) }
            let difference = largestDifference(state, expected) / scale
            #expect(difference < 1e-3, "depth \(depth): \(difference)")
        }
    }

    struct Continuation: Decodable {
        let prompt: String
        let promptTokens: Int
        let greedyIds: [Int32]
        let greedyText: String
        enum CodingKeys: String, CodingKey {
            case prompt, promptTokens = "prompt_tokens", greedyIds = "greedy_ids", greedyText = "greedy_text"
        }
    }

    @Test func greedyContinuationsAreEqualInAllSevenCases() throws {
        let data = try Data(contentsOf: Self.golden.appendingPathComponent("haystack-13m-greedy.json"))
        let cases = try JSONDecoder().decode([Continuation].self, from: data)
        #expect(cases.count == 7)
        for test in cases {
            let tokens = try model.promptTokens(for: test.prompt)
            #expect(tokens.count == test.promptTokens)
            let generation = try model.generate(
                tokens, maxTokens: test.greedyIds.count, policy: .dense, sampler: TokenSampler())
            #expect(generation.tokens == test.greedyIds)
            #expect(model.tokenizer.decode(generation.tokens) == test.greedyText)
        }
    }

    /// A chunked prefill, in chunks that end anywhere, is the same computation.
    @Test(arguments: [1, 7, 64, 499]) func chunkedPrefillAgrees(chunk: Int) throws {
        let tokens = try file.integers("ids_500", shape: [500])
        let prefill = try model.prefill(tokens, cache: model.makeCache(capacity: 500), policy: .dense, chunk: chunk)
        let difference = largestDifference(prefill.logits, try floats("last_logits_500", [4096]))
        #expect(difference < 2e-3, "\(difference)")
    }

    /// α = 1 with every row sampled keeps every column that has any mass: dense attention in another order.
    @Test func alphaOneWithAllRowsSampledEqualsDense() throws {
        let tokens = try file.integers("ids_500", shape: [500])
        var parameters = SampleAttentionParameters(alpha: .one, window: .tokens(16), sampleRatio: .one)
        parameters.denseLastRows = 0
        let dense = try model.score(tokens, policy: .dense)
        let sparse = try model.score(tokens, policy: .fixed(parameters, name: "all"))
        let difference = largestDifference(dense.nextLogProbabilities, sparse.nextLogProbabilities)
        #expect(difference < 1e-3, "\(difference)")
    }

    /// Chunks choose their own columns, so a chunked sparse prefill differs a little; its windows and its cost do not.
    @Test func sparsePrefillInChunksStaysClose() throws {
        let tokens = try file.integers("ids_2048", shape: [2048])
        let whole = try model.score(tokens, policy: .fixed(.standard, name: "sample"))
        let chunked = try model.score(tokens, policy: .fixed(.standard, name: "sample"), chunk: 600)
        #expect(abs(whole.negativeLogLikelihood - chunked.negativeLogLikelihood) < 0.05)
        #expect(abs(whole.report.density - chunked.report.density) < 0.1)
        #expect(chunked.report.chunks.count == 4)
    }

    @Test func sparsePrefillKeepsFewerPairsAndReportsThem() throws {
        let tokens = try file.integers("ids_2048", shape: [2048])
        let sparse = try model.prefill(tokens, cache: model.makeCache(capacity: 2048), policy: .fixed(.standard, name: "sample"))
        #expect(sparse.report.density > 0.05 && sparse.report.density < 0.9)
        let layers = sparse.report.chunks[0]
        #expect(layers.count == 8)
        #expect(layers.allSatisfy { $0.sampledMass.allSatisfy { $0.map { $0 >= 0.949 && $0 <= 1 } ?? false } })
    }
}
