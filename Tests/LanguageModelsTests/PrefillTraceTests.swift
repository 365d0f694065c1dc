import AttentionCore
import AttentionKernels
import Foundation
import HaystackModel
import LanguageModels
import ModelFormats
import Parallelism
import SampleAttention
import Testing

@Suite struct PrefillTraceTests {
    private let model: LanguageModel
    private let tokens: [Int32]
    private static let sparse = AttentionPolicy.perHead { layer, head in layer == 3 && head == 1 ? .window(tokens: 8, sinks: 0) : .dense }

    init() throws {
        model = try LanguageModel.load(
            from: HaystackModel.modelDirectory.path, kernel: AttentionKernel(pool: WorkerPool(threads: 2)))
        let text = try String(contentsOf: HaystackModel.texts[1], encoding: .utf8)
        tokens = try Array(model.promptTokens(for: String(text.dropFirst(20_000).prefix(2000))).prefix(300))
    }

    @Test func aRunDoesNotDifferFromItself() throws {
        let dense = try PrefillTrace(tokens, model: model, policy: .dense)
        let divergence = try dense.divergence(from: dense)
        #expect(divergence.divergences.count == 300 && divergence.divergences.allSatisfy { abs($0) < 1e-5 })
        #expect(divergence.agreement == 1)
        let scores = try model.score(tokens, policy: .dense)
        #expect(divergence.choices == scores.firstChoices)
        #expect(zip(divergence.logProbabilities, scores.nextLogProbabilities).allSatisfy { abs($0 - $1) < 1e-5 })
        #expect(abs(divergence.negativeLogLikelihood - scores.negativeLogLikelihood) < 1e-6)
    }

    /// Going on from the layer that changes gives what the whole run gives, again and again.
    @Test func probesAreWholeRuns() throws {
        let dense = try PrefillTrace(tokens, model: model, policy: .dense, probedFrom: 0)
        let whole = try PrefillTrace(tokens, model: model, policy: Self.sparse).divergence(from: dense)
        for layer in [3, 0, 3] {
            let probe = try dense.probe(Self.sparse, from: layer, against: dense)
            #expect(probe.choices == whole.choices)
            #expect(zip(probe.divergences, whole.divergences).allSatisfy { abs($0 - $1) < 1e-5 }, "from layer \(layer)")
        }
        #expect(whole.meanDivergence > 1e-5)
        let late = try PrefillTrace(tokens, model: model, policy: .dense, probedFrom: 3)
        #expect(try late.probe(Self.sparse, from: 3, against: late).choices == whole.choices)
    }

    /// KL by the definition, from the logits of the last position, in double precision.
    @Test func divergenceIsTheDefinitions() throws {
        func logits(_ policy: AttentionPolicy) throws -> [Double] {
            try model.prefill(tokens, cache: model.makeCache(capacity: tokens.count), policy: policy).logits.map(Double.init)
        }
        func logSoftmax(_ logits: [Double]) -> [Double] {
            let most = logits.max()!
            let sum = logits.reduce(0) { $0 + exp($1 - most) }
            return logits.map { $0 - most - log(sum) }
        }
        // Without dense last rows the last position sees its window only.
        var parameters = SampleAttentionParameters.window(tokens: 4, sinks: 0)
        parameters.denseLastRows = 0
        let narrow = AttentionPolicy.fixed(parameters, name: "narrow")
        let (p, q) = (logSoftmax(try logits(.dense)), logSoftmax(try logits(narrow)))
        let expected = zip(p, q).reduce(0) { $0 + exp($1.0) * ($1.0 - $1.1) }
        let dense = try PrefillTrace(tokens, model: model, policy: .dense)
        let found = try PrefillTrace(tokens, model: model, policy: narrow).divergence(from: dense)
        #expect(expected > 0.01 && abs(Double(found.divergences[299]) - expected) < 1e-3 * max(1, expected))
    }

    @Test func theTapSeesEveryLayer() throws {
        var layers: [Int] = []
        _ = try PrefillTrace(
            tokens, model: model, policy: .dense,
            tap: AttentionTap { attention in
                layers.append(attention.layer)
                #expect(attention.inputs.shape.queryCount == 300 && attention.output.tokens == 300)
            })
        #expect(layers == Array(0..<8))
    }

    /// What a tap takes is none of the prefill's seconds; the rows' sums it is shown are those of the kernel.
    @Test func theTapsTimeIsItsOwn() throws {
        var sums = 0
        let trace = try PrefillTrace(
            tokens, model: model, policy: .dense,
            tap: AttentionTap { attention in
                usleep(200_000)
                let rows = UnsafeBufferPointer(start: try #require(attention.logSumExp), count: 300)
                sums += rows.count { $0.isFinite }
                // The first row of a head sees one key.
                let (q, k) = (attention.inputs.query.row(head: 0, token: 0), attention.inputs.key.row(head: 0, token: 0))
                let d = attention.inputs.shape.headDimension
                let score = (0..<d).reduce(Float(0)) { $0 + q[$1] * k[$1] } / Float(d).squareRoot()
                #expect(abs(rows[0] - score) < 0.02 * max(1, abs(score)))
            })
        #expect(sums == 8 * 300 && trace.report.seconds > 0 && trace.report.seconds < 8 * 0.2)
    }
}
