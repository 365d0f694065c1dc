import AttentionCore
import AttentionKernels
import AttentionLayers
import AttentionTestSupport
import Foundation
import ModelFormats
import RunProvenance
import Testing

@Suite struct CapturedLayersTests {
    private let scratch: Scratch
    private let made: MadeLayers

    init() throws {
        scratch = try Scratch()
        made = try MadeLayers()
    }

    private func write(_ data: Data, to name: String = "layers.safetensors") throws -> String {
        let path = scratch.file(name)
        try data.write(to: URL(fileURLWithPath: path))
        return path
    }

    private func capture(_ layers: Set<Int>) throws -> String {
        try write(LayerCapture(model: MadeLayers.model, text: made.text, tool: "test").encoded(made, layers: layers))
    }

    /// Every number of a layer, in an order of its own.
    private func numbers(_ attention: LayerAttention) -> [[UInt32]] {
        [attention.inputs.query, attention.inputs.key, attention.inputs.value, attention.output].map { tensor in
            (0..<tensor.heads).flatMap { head in
                (0..<tensor.tokens).flatMap { token in (0..<tensor.dimension).map { tensor.row(head: head, token: token)[$0].bitPattern } }
            }
        }
    }

    private func numbers(_ source: some LayerSource) throws -> [Int: [[UInt32]]] {
        var found: [Int: [[UInt32]]] = [:]
        try source.forEachLayer { found[$0.layer] = numbers($0) }
        return found
    }

    @Test func givesBackWhatWasCaptured() throws {
        let captured = try CapturedLayers(capture([0, 1, 2]), kernel: made.kernel)
        #expect(captured.layers == [0, 1, 2] && captured.tokens == 9 && captured.queryHeads == 4)
        #expect(captured.model == MadeLayers.model && captured.text == made.text)
        #expect(try numbers(captured) == numbers(made))
    }

    @Test func aFileMayHoldSomeLayers() throws {
        let captured = try CapturedLayers(capture([0, 2]), kernel: made.kernel)
        #expect(captured.layers == [0, 2] && captured.model.layers == 3)
        let whole = try numbers(made)
        #expect(try numbers(captured) == whole.filter { $0.key != 1 })
    }

    /// As other programs write it: no metadata, fewer bits, layers in any order.
    @Test func aFileWithoutMetadataStandsForItself() throws {
        let path = try write(file(layers: [4, 1], metadata: [:]))
        let captured = try CapturedLayers(path, kernel: made.kernel)
        #expect(captured.layers == [1, 4] && captured.model.layers == 5 && captured.model.family == "unknown")
        #expect(try captured.text == .init(name: "layers.safetensors", sha256: SafetensorsFile(path).sha256()))
        #expect(try numbers(captured).keys.sorted() == [1, 4])
    }

    private func file(
        layers: [Int], shape: [String: [Int]] = [:], leaving missing: String? = nil, metadata: [String: String], first: Float = 0.5
    ) -> Data {
        var encoder = SafetensorsEncoder()
        for layer in layers {
            for (name, standard) in [("query", [5, 4, 8]), ("key", [5, 2, 8]), ("value", [5, 2, 8])] {
                let full = "layers.\(layer).\(name)"
                if full == missing { continue }
                let own = shape[full] ?? standard
                var values = (0..<own.reduce(1, *)).map { Float($0 % 7) }
                if !values.isEmpty { values[0] = first }
                encoder.append(full, shape: own, values)
            }
        }
        return encoder.encoded(metadata: metadata)
    }

    struct Damage: Sendable, CustomTestStringConvertible {
        let testDescription, field, rule: String
        var layers = [0, 1]
        var shape: [String: [Int]] = [:]
        var missing: String?
        var metadata: [String: String] = [:]
    }

    static let damages = [
        Damage(testDescription: "missing", field: "layers.1.key", rule: "tensor is missing", missing: "layers.1.key"),
        Damage(testDescription: "ranks", field: "layers.0.query", rule: "must be [tokens, heads", shape: ["layers.0.query": [1, 5, 4, 8]]),
        Damage(testDescription: "one token", field: "layers.0.query", rule: "at least two tokens", shape: ["layers.0.query": [1, 4, 8]]),
        Damage(testDescription: "odd", field: "layers.0.key", rule: "an even dimension", shape: ["layers.0.key": [5, 2, 7]]),
        Damage(testDescription: "none", field: "layers.0.key", rule: "must be [tokens", shape: ["layers.0.key": [5, 0, 8]]),
        Damage(
            testDescription: "groups", field: "layers.0.key", rule: "4 query heads must be a multiple", shape: ["layers.0.key": [5, 3, 8]]),
        Damage(testDescription: "tokens", field: "layers.0.key", rule: "must be [5, 2, 8]", shape: ["layers.0.key": [6, 2, 8]]),
        Damage(testDescription: "others", field: "layers.1.value", rule: "must be [5, 2, 8]", shape: ["layers.1.value": [5, 4, 8]]),
        Damage(testDescription: "identity", field: "__metadata__.model", rule: "identity in JSON", metadata: ["model": "{"]),
        Damage(
            testDescription: "field", field: "__metadata__.model.layers", rule: "is missing",
            metadata: ["model": #"{"family":"a"}"#]),
        Damage(
            testDescription: "model", field: "__metadata__.model", rule: "of the tensors' shapes",
            metadata: [
                "model":
                    #"{"family":"a","layers":2,"queryHeads":8,"keyValueHeads":2,"headDimension":8,"weightsSHA256":"","tokenizerSHA256":""}"#
            ]),
    ]

    @Test(arguments: damages) func refuses(_ damage: Damage) throws {
        let path = try write(file(layers: damage.layers, shape: damage.shape, leaving: damage.missing, metadata: damage.metadata))
        let error = try #require(throws: InputError.self) { try CapturedLayers(path, kernel: made.kernel) }
        #expect(error.code == .invalidData && error.file == path && error.field == damage.field, "\(error)")
        #expect(error.rule.contains(damage.rule), "\(error)")
    }

    @Test func refusesOtherTensorsAndNumbersThatAreNone() throws {
        var encoder = SafetensorsEncoder()
        encoder.append("layers.00.query", shape: [1], [0])
        let other = try write(encoder.encoded())
        #expect(try #require(throws: InputError.self) { try CapturedLayers(other, kernel: made.kernel) }.field == "layers.00.query")
        let empty = try write(SafetensorsEncoder().encoded())
        #expect(try #require(throws: InputError.self) { try CapturedLayers(empty, kernel: made.kernel) }.rule.hasPrefix("must hold"))
        // The type is refused before anything is made of the shape, which no bytes bound.
        let header = #"{"layers.0.query":{"dtype":"F4","shape":[2147483647,65536,1024],"data_offsets":[0,0]}}"#
        let unknown = try write(withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Data($0) } + Data(header.utf8))
        let type = try #require(throws: InputError.self) { try CapturedLayers(unknown, kernel: made.kernel) }
        #expect(type.code == .unsupported && type.field == "layers.0.query" && type.value == "F4")
        let broken = try CapturedLayers(write(file(layers: [0], metadata: [:], first: .nan)), kernel: made.kernel)
        let error = try #require(throws: InputError.self) { try broken.forEachLayer { _ in } }
        #expect(error.field == "layers.0.query" && error.value == "NaN at element 0" && error.rule == "must be finite")
    }
}
