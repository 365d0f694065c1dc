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

/// Gradients at the output of every layer's attention, of every family, against PyTorch's (`golden/families/README.md`).
@Suite struct GradientTests {
    /// [layer][token][heads · d] of each label set.
    static func gradients(_ trace: GradientTrace, _ labels: [GradientLabels], layers: Int, downTo first: Int = 0) throws -> [[[Float]]] {
        var all = [[[Float]]](repeating: [[Float]](repeating: [], count: layers), count: labels.count)
        var seen: [Int] = []
        try trace.takeBack(labels, downTo: first) { layer in
            seen.append(layer.layer)
            for (label, gradient) in layer.gradients.enumerated() {
                all[label][layer.layer] = Array(
                    UnsafeBufferPointer(start: gradient.base, count: gradient.heads * gradient.tokens * gradient.dimension))
            }
        }
        #expect(seen == (first..<layers).reversed())
        return all
    }

    /// The largest difference over the largest number expected.
    static func relative(_ found: some Collection<Float>, _ expected: some Collection<Float>) -> Float {
        FamilyTests.largestDifference(found, expected) / expected.reduce(0) { max($0, abs($1)) }
    }

    static func given(_ count: Int) -> GradientLabels { .given((0..<count).map { Int32((7 * $0 + 3) % 160) }) }

    @Test(arguments: FamilyTests.cases) func areThoseOfPyTorch(test: FamilyTests.Case) throws {
        let model = try FamilyTests.model(test, scratch: Scratch())
        let file = try FamilyTests.golden(test.family)
        let golden = try SafetensorsFile(FamilyTests.families.appendingPathComponent("\(test.family)/gradients.safetensors").path)
        let layers = model.description.layerCount
        let short = try GradientTrace(file.integers("ids_a", shape: [48]), model: model)
        let own = try Self.gradients(short, [.text], layers: layers)[0]
        #expect(Self.relative(own.joined(), try FamilyTests.floats(golden, "own")) < 5e-5)
        let long = try GradientTrace(file.integers("ids_b", shape: [200]), model: model)
        let given = try Self.gradients(long, [Self.given(200)], layers: layers)[0]
        #expect(Self.relative(given.joined(), try FamilyTests.floats(golden, "given")) < 5e-5)
    }

    private static func testCase(_ family: String) -> FamilyTests.Case { FamilyTests.Case(family: family, config: "config.json") }

    private static func prompt(_ family: String) throws -> [Int32] { try FamilyTests.golden(family).integers("ids_b", shape: [200]) }

    /// Rounding every operand to BF16 leaves gradients what they are.
    @Test(arguments: ["smollm3", "gemma3-text", "qwen3-moe", "cohere2"]) func inBF16AreNear(family: String) throws {
        let (test, tokens) = (Self.testCase(family), try Self.prompt(family))
        let both = try [Precision.fp32, .bf16].map { precision in
            let model = try FamilyTests.model(test, precision: precision, scratch: Scratch())
            let trace = try GradientTrace(tokens, model: model)
            return try Self.gradients(trace, [Self.given(200)], layers: model.description.layerCount)[0].flatMap { $0 }
        }
        let distance = zip(both[0], both[1]).reduce(0.0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }
        let energy = both[0].reduce(0.0) { $0 + Double($1 * $1) }
        // A router that rounding makes choose otherwise changes a token's gradients altogether.
        #expect(distance < (family == "qwen3-moe" ? 0.1 : 0.01) * energy && distance > 0)
    }

    /// Label sets do not touch each other, and threads do not touch anything.
    @Test(arguments: ["gemma2", "cohere2", "gpt-oss"]) func severalSetsAreEachAsAlone(family: String) throws {
        let (test, tokens) = (Self.testCase(family), try Self.prompt(family))
        let model = try FamilyTests.model(test, scratch: Scratch())
        let (layers, trace) = (model.description.layerCount, try GradientTrace(tokens, model: model))
        let sets = [GradientLabels.text, .fisher(seed: 5), Self.given(200)]
        let together = try Self.gradients(trace, sets, layers: layers)
        for (set, found) in zip(sets, together) { #expect(try Self.gradients(trace, [set], layers: layers)[0] == found) }
        let scratch = try Scratch()
        _ = try FamilyTests.model(test, scratch: scratch)
        let alone = try LanguageModel.load(
            from: scratch.file("model"), kernel: AttentionKernel(precision: .fp32, pool: WorkerPool(threads: 1)))
        #expect(try Self.gradients(GradientTrace(tokens, model: alone), sets, layers: layers) == together)
        // From the last layers alone, the same.
        let some = try Self.gradients(trace, sets, layers: layers, downTo: layers - 1)
        #expect(some.map(\.last) == together.map(\.last) && some.allSatisfy { $0.dropLast().allSatisfy(\.isEmpty) })
    }

    /// Gradients of a sum are the sum of gradients.
    @Test func positionsAddUp() throws {
        let model = try FamilyTests.model(Self.testCase("qwen3"), scratch: Scratch())
        let trace = try GradientTrace(Self.prompt("qwen3"), model: model)
        func over(_ positions: [Range<Int>]?) throws -> [Float] {
            var labels = Self.given(200)
            labels.positions = positions
            return try Self.gradients(trace, [labels], layers: model.description.layerCount)[0].flatMap { $0 }
        }
        let (all, first, rest, none) = (try over(nil), try over([0..<50, 50..<120]), try over([120..<200]), try over([7..<7]))
        #expect(Self.relative(zip(first, rest).map(+), all) < 1e-5)
        #expect(none.allSatisfy { $0 == 0 } && first.contains { $0 != 0 } && rest.contains { $0 != 0 })
    }

    /// Random roots are those of their seed, and their mean over seeds vanishes.
    @Test func randomRootsHaveNoMean() throws {
        let model = try FamilyTests.model(Self.testCase("llama-bias"), scratch: Scratch())
        let (layers, trace) = (model.description.layerCount, try GradientTrace(Self.prompt("llama-bias"), model: model))
        let draws = 64
        let all = try Self.gradients(trace, (0..<draws).map { .fisher(seed: UInt64($0)) }, layers: layers).map { $0[layers - 1] }
        #expect(try Self.gradients(trace, [.fisher(seed: 3)], layers: layers)[0][layers - 1] == all[3] && all[3] != all[4])
        let mean = all[0].indices.map { index in all.reduce(Float(0)) { $0 + $1[index] } / Float(draws) }
        func energy(_ x: [Float]) -> Float { x.reduce(0) { $0 + $1 * $1 } }
        // 1/64 of a draw's energy is left of independent draws with mean zero.
        #expect(energy(mean) < 0.03 * all.reduce(0) { $0 + energy($1) } / Float(draws))
    }

    /// The mean over seeds of (g · δ)² is what all labels by their probability give: Σ_y p_y (g_y · δ)², of one position, where g_y is the gradient
    /// of log p_y. Of the bundled model where it is sure of what comes next: there the first choice is nearly all that p holds.
    @Test(arguments: [true, false]) func randomRootsHaveTheFisherInformation(isSure: Bool) throws {
        let model =
            isSure
            ? try LanguageModel.load(
                from: HaystackModel.modelDirectory.path, kernel: AttentionKernel(precision: .fp32, pool: WorkerPool(threads: 2)))
            : try FamilyTests.model(Self.testCase("gemma2"), scratch: Scratch())
        let phrase = Array(try model.promptTokens(for: "The secret code of amber falcon is 40817. ").dropFirst())
        let whole = isSure ? phrase + phrase + phrase : Array(try Self.prompt("gemma2").prefix(30))
        // Up to where the text is least of a surprise.
        let known = try model.score(whole, policy: .dense).nextLogProbabilities
        let tokens = Array(whole.prefix(known.indices.max { known[$0] < known[$1] }! + 1))
        let (layers, position) = (model.description.layerCount, tokens.count - 1)
        let trace = try GradientTrace(tokens, model: model)
        func products(_ labels: [GradientLabels]) throws -> [Double] {
            let own = labels.map { labels in
                var labels = labels
                labels.positions = [position..<position + 1]
                return labels
            }
            return try Self.gradients(trace, own, layers: layers, downTo: layers - 1).map { gradients in
                // A change that is fixed: the sum of every third number.
                stride(from: 0, to: gradients[layers - 1].count, by: 3).reduce(0.0) { $0 + Double(gradients[layers - 1][$1]) }
            }
        }
        let scores = try FamilyTests.last(model, tokens)
        let highest = scores.max()!
        let powers = scores.map { Double(expf($0 - highest)) }
        let sum = powers.reduce(0, +)
        #expect((1 / sum > 0.9) == isSure, "\(1 / sum)")
        // Labels that hold next to nothing change nothing.
        let labels = powers.indices.filter { powers[$0] / sum > 1e-6 }
        let byLabel = try products(labels.map { .given(Array(repeating: Int32($0), count: tokens.count)) })
        let exact = zip(labels, byLabel).reduce(0.0) { $0 + powers[$1.0] / sum * $1.1 * $1.1 }
        let draws = try products((0..<400).map { .fisher(seed: UInt64($0)) })
        let mean = draws.reduce(0.0) { $0 + $1 * $1 } / Double(draws.count)
        // A sum of many signs has squares with a standard error of √(2/400) of their mean.
        #expect(abs(mean / exact - 1) < 0.25, "\(mean) for \(exact)")
    }

    @Test func labelsThatDoNotFitAreRefused() throws {
        let model = try FamilyTests.model(Self.testCase("llama-bias"), scratch: Scratch())
        let trace = try GradientTrace(Array(Self.prompt("llama-bias").prefix(10)), model: model)
        var outside = GradientLabels.text
        outside.positions = [3..<5, 6..<11]
        for (labels, field) in [(Self.given(9), "labels"), (.given(Array(repeating: 160, count: 10)), "labels"), (outside, "positions")] {
            let error = try #require(throws: InputError.self) { try trace.takeBack([labels]) { _ in } }
            #expect(error.code == .usage && error.field == field, "\(error)")
        }
        #expect(throws: InputError.self) { try GradientTrace([], model: model) }
        try trace.takeBack([]) { _ in Issue.record("nothing was asked for") }
    }
}
