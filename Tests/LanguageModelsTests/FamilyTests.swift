import AttentionCore
import AttentionKernels
import AttentionTestSupport
import Foundation
import LanguageModels
import ModelFormats
import Parallelism
import SampleAttention
import Testing

/// Every family of models against reference implementations in FP32 (`golden/families/README.md` says how the files were made), by both
/// spellings of its configuration.
@Suite struct FamilyTests {
    static let families = GoldenTests.golden.appendingPathComponent("families")

    struct Case: CustomTestStringConvertible, Sendable {
        let family: String
        let config: String
        var testDescription: String { "\(family)/\(config)" }
    }

    static let cases: [Case] = {
        let names = try! FileManager.default.contentsOfDirectory(atPath: families.path).sorted()
        return names.flatMap { name in
            ["config.json", "config.v4.json"].filter {
                FileManager.default.fileExists(atPath: families.appendingPathComponent(name).appendingPathComponent($0).path)
            }.map { Case(family: name, config: $0) }
        }
    }()

    /// A golden model in a folder of its own, with a tokenizer of bytes.
    static func model(_ test: Case, precision: Precision = .fp32, scratch: Scratch) throws -> LanguageModel {
        let source = families.appendingPathComponent(test.family)
        try FileManager.default.createDirectory(atPath: scratch.file("model"), withIntermediateDirectories: true)
        try scratch.write(Data(contentsOf: source.appendingPathComponent(test.config)), to: "model/config.json")
        try scratch.write(Data(contentsOf: source.appendingPathComponent("model.safetensors")), to: "model/model.safetensors")
        try scratch.write(TinyModel.smallTokenizer(), to: "model/tokenizer.json")
        return try LanguageModel.load(
            from: scratch.file("model"), kernel: AttentionKernel(precision: precision, pool: WorkerPool(threads: 2)))
    }

    struct HiddenStates: ForwardObserver {
        var depths: [[Float]] = []
        func attended(_ attention: LayerAttention) {}
        mutating func reached(depth: Int, hidden: UnsafeBufferPointer<Float>) { depths.append(Array(hidden)) }
    }

    static func golden(_ family: String) throws -> SafetensorsFile {
        try SafetensorsFile(families.appendingPathComponent("\(family)/golden.safetensors").path)
    }

    static func floats(_ file: SafetensorsFile, _ name: String) throws -> [Float] {
        let shape = try file.tensor(name).shape
        let buffer = AlignedBuffer<Float>(count: shape.reduce(1, *))
        try file.read(name, shape: shape, into: buffer.base)
        return Array(buffer.elements)
    }

    static func largestDifference(_ a: some Collection<Float>, _ b: some Collection<Float>) -> Float {
        #expect(a.count == b.count)
        return Float(zip(a, b).reduce(0.0) { worse($0, Double(abs($1.0 - $1.1))) })
    }

    /// Row `row` of logits [rows][160].
    static func row(_ logits: [Float], _ row: Int) -> ArraySlice<Float> { logits[row * 160..<(row + 1) * 160] }

    static func last(_ model: LanguageModel, _ tokens: some Collection<Int32>, chunk: Int? = nil) throws -> [Float] {
        try model.prefill(Array(tokens), cache: model.makeCache(capacity: tokens.count), policy: .dense, chunk: chunk).logits
    }

    @Test(arguments: cases) func hiddenStatesOfEveryLayerAreWithin1e4(test: Case) throws {
        let model = try Self.model(test, scratch: Scratch())
        let file = try Self.golden(test.family)
        var states = HiddenStates()
        _ = try model.prefill(
            file.integers("ids_a", shape: [48]), cache: model.makeCache(capacity: 48), policy: .dense, observer: &states)
        let hidden = try Self.floats(file, "hidden_a")
        let size = 48 * 64
        #expect(states.depths.count == model.description.layerCount + 1 && hidden.count == states.depths.count * size)
        // The last state passed the final norm, which the reference's did not.
        for (depth, state) in states.depths.dropLast().enumerated() {
            let difference = Self.largestDifference(state, hidden[depth * size..<(depth + 1) * size])
            #expect(difference < 1e-4, "depth \(depth): \(difference)")
        }
    }

    @Test(arguments: cases) func scoresOfEveryPositionAreWithin5e5(test: Case) throws {
        let model = try Self.model(test, scratch: Scratch())
        let file = try Self.golden(test.family)
        let tokens = try file.integers("ids_a", shape: [48])
        let expected = try Self.floats(file, "logits_a")
        for position in tokens.indices {
            let difference = Self.largestDifference(try Self.last(model, tokens[...position]), Self.row(expected, position))
            #expect(difference < 5e-5, "position \(position): \(difference)")
        }
    }

    /// Past windows and past the lengths that rotary embeddings were first made for, whole and in chunks.
    @Test(arguments: cases) func scoresOfALongerPromptAreWithin5e5(test: Case) throws {
        let model = try Self.model(test, scratch: Scratch())
        let file = try Self.golden(test.family)
        let tokens = try file.integers("ids_b", shape: [200])
        let expected = try Self.floats(file, "logits_b_last4")
        for chunk in [200, 37, 1] {
            let difference = Self.largestDifference(try Self.last(model, tokens, chunk: chunk), Self.row(expected, 3))
            #expect(difference < 5e-5, "chunk \(chunk): \(difference)")
        }
    }

    /// Tokens one after the other, from caches in every format.
    @Test(arguments: cases, KeyValueCache.Format.allCases) func decodingAgrees(test: Case, format: KeyValueCache.Format) throws {
        let model = try Self.model(test, scratch: Scratch())
        let file = try Self.golden(test.family)
        let tokens = try file.integers("ids_a", shape: [48])
        let expected = try Self.floats(file, "logits_a")
        let cache = try model.makeCache(capacity: 48, format: format)
        _ = try model.prefill(Array(tokens[..<36]), cache: cache, policy: .dense)
        let decoder = try TokenDecoder(model: model, cache: cache)
        var largest: Float = 0
        for position in 36..<48 {
            try decoder.append(tokens[position])
            largest = max(largest, Self.largestDifference(decoder.logits, Self.row(expected, position)))
        }
        let limit: Float =
            switch format {
            case .fp32: 5e-5
            case .bf16: 0.2
            case .int8: 0.4
            }
        #expect(largest < limit, "\(format): \(largest)")
    }
}
