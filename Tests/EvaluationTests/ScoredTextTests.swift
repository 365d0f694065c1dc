import AttentionKernels
import AttentionTestSupport
import Evaluation
import Foundation
import LanguageModels
import Parallelism
import SampleAttention
import Testing

/// What of an answer is scored.
@Suite struct ScoredTextTests {
    /// A model whose every token says which one follows: its layers add nothing, and each pair has a dimension of its own.
    private static func chain(_ pairs: [(Character, Int)], _ scratch: Scratch) throws -> LanguageModel {
        var shape = TinyModel.Shape()
        shape.tied = false
        let tiny = try TinyModel(scratch, shape: shape)
        for index in tiny.tensors.indices where tiny.tensors[index].name.contains("proj") || tiny.tensors[index].shape == [257, 16] {
            tiny.tensors[index].values = Array(repeating: 0, count: tiny.tensors[index].values.count)
        }
        for index in tiny.tensors.indices where tiny.tensors[index].shape == [16] {
            tiny.tensors[index].values = Array(repeating: 1, count: 16)
        }
        for (dimension, (character, next)) in pairs.enumerated() {
            tiny.tensors[0].values[Int(character.asciiValue!) * 16 + dimension] = 1
            tiny.tensors[tiny.tensors.count - 1].values[next * 16 + dimension] = 1
        }
        try tiny.write()
        return try LanguageModel.load(from: tiny.path, kernel: AttentionKernel(pool: WorkerPool(threads: 1)))
    }

    /// Special tokens that a model writes are no part of its answer.
    @Test func specialTokensAreNotScored() throws {
        let model = try Self.chain([("X", 0x6F), ("o", 0x6B), ("k", 256)], Scratch())
        let question = EvaluationTask.Question(prompt: "Which? X", answers: ["ok"], scorer: .f1, newTokens: 3)
        let task = EvaluationTask(id: "0", name: "t", length: 16, content: .question(question))
        let outcome = try Evaluator(model: model, policy: .dense).run(task)
        #expect(outcome.answer == "ok" && outcome.score == 1)
        let written = try model.generate(model.promptTokens(for: "Which? X"), maxTokens: 3, policy: .dense, sampler: TokenSampler()).tokens
        #expect(written == [0x6F, 0x6B, 256])
    }

    /// What a stop condition reads is the text so far, without special tokens, whatever came before; and it stops there.
    @Test func stopsReadTheTextSoFar() throws {
        let model = try Self.chain([("X", 0x6F), ("o", 0x6B), ("k", 256)], Scratch())
        func texts(stopAt end: String?) throws -> (texts: [String], tokens: [Int32]) {
            var texts: [String] = []
            let generation = try model.generate(
                model.promptTokens(for: "Which? X"), maxTokens: 4, policy: .dense, sampler: TokenSampler(),
                shouldStop: {
                    texts.append($0)
                    return $0 == end
                })
            return (texts, generation.tokens)
        }
        // After the last token there is nothing to stop.
        #expect(try texts(stopAt: nil).texts == ["o", "ok", "ok"])
        let stopped = try texts(stopAt: "ok")
        #expect(stopped.texts == ["o", "ok"] && stopped.tokens == [0x6F, 0x6B])
    }
}
