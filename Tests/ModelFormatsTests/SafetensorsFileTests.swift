import AttentionCore
import Foundation
import ModelFormats
import Testing

@Suite struct SafetensorsFileTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func open(_ bytes: [UInt8]) throws -> SafetensorsFile {
        try SafetensorsFile(directory.write(bytes, to: "a.safetensors"))
    }

    /// Two tensors, one without elements, a scalar, metadata and the padding that writers put behind the header.
    private static let sound = safetensors(
        #"{"__metadata__":{"format":"pt"},"b":{"dtype":"I32","shape":[2,1],"data_offsets":[4,12]},"#
            + #""a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"#
            + #""none":{"dtype":"BF16","shape":[0,7],"data_offsets":[4,4]}}   "#,
        data: littleEndian(Float(1.5).bitPattern) + littleEndian(Int32(-7)) + littleEndian(Int32.max))

    @Test func readsWhatTheHeaderSays() throws {
        let file = try open(Self.sound)
        #expect(file.tensors.map(\.name) == ["a", "none", "b"])
        #expect(file.contains("b") && !file.contains("__metadata__"))
        let tensor = try file.tensor("b")
        #expect(tensor.shape == [2, 1] && tensor.dataType == .int32 && tensor.bytes == 4..<12)
        #expect(tensor.elementCount == 2)
        #expect(try file.integers("b", shape: [2, 1]) == [-7, Int32.max])
        var value: Float = 0
        try file.read("a", shape: [], into: &value)
        #expect(value == 1.5)
        #expect(try open(safetensors("{}")).tensors.isEmpty)
    }

    @Test func refusesWhatTheCallerDidNotExpect() throws {
        let file = try open(Self.sound)
        var value: Float = 0
        expectError(.invalidData, field: "c", rule: "tensor is missing", file: file.path) { _ = try file.tensor("c") }
        expectError(.invalidData, field: "b", value: "[2, 1]", rule: "must be [2]") {
            _ = try file.integers("b", shape: [2])
        }
        expectError(.unsupported, field: "b", value: "I32", rule: "F32, F16 or BF16") {
            try file.read("b", shape: [2, 1], into: &value)
        }
        expectError(.unsupported, field: "a", value: "F32", rule: "must be I32") { _ = try file.integers("a", shape: []) }
    }

    @Test func refusesFilesThatCannotBeMapped() throws {
        expectError(.missingInput) { _ = try SafetensorsFile(directory.path + "/absent") }
        expectError(.missingInput) { _ = try MappedFile(directory.write("x", to: "file") + "/below") }
        expectError(.inputOutput, rule: "regular file") { _ = try SafetensorsFile(directory.path) }
        expectError(.invalidData, rule: "empty") { _ = try SafetensorsFile(directory.write([], to: "empty")) }
        let pipe = directory.path + "/pipe"
        try #require(mkfifo(pipe, 0o600) == 0)
        expectError(.inputOutput, rule: "regular file") { _ = try SafetensorsFile(pipe) }
    }

    struct Violation: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let bytes: [UInt8]
        let field: String
        let rule: String

        init(_ name: String, _ bytes: [UInt8], field: String = "header", rule: String) {
            testDescription = name
            self.bytes = bytes
            self.field = field
            self.rule = rule
        }

        /// One tensor "w" of 8 bytes of data whose description is `json`.
        init(_ name: String, tensor json: String, rule: String) {
            self.init(name, safetensors(#"{"w":\#(json)}"#, data: [UInt8](repeating: 0, count: 8)), field: "w", rule: rule)
        }
    }

    private static func twoTensors(_ first: String, _ second: String) -> [UInt8] {
        safetensors(
            #"{"v":{"dtype":"U8","shape":[4],"data_offsets":\#(first)},"#
                + #""w":{"dtype":"U8","shape":[4],"data_offsets":\#(second)}}"#,
            data: [UInt8](repeating: 0, count: 10))
    }

    static let violations: [Violation] = [
        .init("7 bytes", [UInt8](repeating: 0, count: 7), rule: "at least 8 bytes"),
        .init("header over the limit", littleEndian(UInt64(100_000_001)), rule: "longer than 100000000"),
        .init("header length 2⁶⁴ − 1", littleEndian(UInt64.max), rule: "longer than"),
        .init("header beyond the file", littleEndian(UInt64(3)) + Array("{}".utf8), rule: "fit in the file"),
        .init("empty header", safetensors(""), rule: "begin with {"),
        .init("leading space", safetensors(" {}"), rule: "begin with {"),
        .init("a list", safetensors("[]"), rule: "begin with {"),
        .init("not JSON", safetensors(#"{"w":}"#), rule: "expected a value"),
        .init("cut JSON", safetensors(#"{"w":{"#), rule: "expected a member name"),
        .init("two values", safetensors("{}{}"), rule: "end after the first value"),
        .init("not UTF-8", littleEndian(UInt64(8)) + Array(#"{""#.utf8) + [0xC3, 0x28] + Array(#"":1}"#.utf8), rule: "UTF-8"),
        .init("repeated name", safetensors(#"{"w":1,"w":2}"#), rule: "occurs twice"),
        .init("repeated name, escaped", safetensors(#"{"w":1,"\u0077":2}"#), rule: "occurs twice"),
        .init("deep nesting", safetensors(#"{"w":"# + String(repeating: "[", count: 100_000)), rule: "nest deeper"),
        .init("metadata is a list", safetensors(#"{"__metadata__":[]}"#), field: "__metadata__", rule: "an object"),
        .init("metadata holds a number", safetensors(#"{"__metadata__":{"a":1}}"#), field: "__metadata__.a", rule: "a text"),
        .init("data nobody owns", safetensors("{}", data: [0]), rule: "cover all 1 bytes"),
        .init("not an object", tensor: "3", rule: "must be an object"),
        .init("no dtype", tensor: #"{"shape":[8],"data_offsets":[0,8]}"#, rule: "must be a text"),
        .init("numeric dtype", tensor: #"{"dtype":4,"shape":[8],"data_offsets":[0,8]}"#, rule: "must be a text"),
        .init("no shape", tensor: #"{"dtype":"U8","data_offsets":[0,8]}"#, rule: "list of integers"),
        .init("negative extent", tensor: #"{"dtype":"U8","shape":[-8],"data_offsets":[0,8]}"#, rule: "not negative"),
        .init("fractional extent", tensor: #"{"dtype":"U8","shape":[8.0],"data_offsets":[0,8]}"#, rule: "list of integers"),
        .init(
            "overflowing product", tensor: #"{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}"#,
            rule: "must not overflow"),
        .init("no offsets", tensor: #"{"dtype":"U8","shape":[8]}"#, rule: "two integers"),
        .init("three offsets", tensor: #"{"dtype":"U8","shape":[8],"data_offsets":[0,8,8]}"#, rule: "two integers"),
        .init("offsets reversed", tensor: #"{"dtype":"U8","shape":[8],"data_offsets":[8,0]}"#, rule: "begin ≤ end"),
        .init("negative offset", tensor: #"{"dtype":"U8","shape":[9],"data_offsets":[-1,8]}"#, rule: "0 ≤ begin"),
        .init("beyond the data", tensor: #"{"dtype":"U8","shape":[9],"data_offsets":[0,9]}"#, rule: "≤ 8"),
        .init("too few bytes", tensor: #"{"dtype":"F32","shape":[3],"data_offsets":[0,8]}"#, rule: "takes 12 bytes"),
        .init("too many bytes", tensor: #"{"dtype":"F16","shape":[3],"data_offsets":[0,8]}"#, rule: "takes 6 bytes"),
        .init("overlap", twoTensors("[0,4]", "[3,7]"), field: "w", rule: "not overlap"),
        .init("same bytes", twoTensors("[0,4]", "[0,4]"), field: "w", rule: "not overlap"),
        .init("hole between", twoTensors("[0,4]", "[6,10]"), field: "w", rule: "not leave a hole"),
        .init("hole at the start", twoTensors("[2,6]", "[6,10]"), field: "v", rule: "not leave a hole"),
        .init("hole at the end", twoTensors("[0,4]", "[4,8]"), rule: "cover all 10 bytes"),
    ]

    @Test(arguments: violations) func refuses(_ violation: Violation) throws {
        expectError(.invalidData, field: violation.field, rule: violation.rule) { _ = try open(violation.bytes) }
    }

    @Test func refusesEveryTruncation() throws {
        for length in 1..<Self.sound.count {
            expectError(.invalidData) { _ = try open(Array(Self.sound.prefix(length))) }
        }
    }

    /// Damaged headers either open (the damage was in a name, say) or throw; nothing else.
    @Test func survivesDamage() throws {
        let seed: UInt64 = 20_240_601
        var generator = SeededGenerator(seed: seed)
        var refused = 0
        for _ in 0..<500 {
            var bytes = Self.sound
            let position = Int.random(in: 0..<bytes.count - 12, using: &generator)
            bytes[position] = UInt8.random(in: 0...255, using: &generator)
            do { _ = try open(bytes) } catch is InputError { refused += 1 }
        }
        #expect(refused > 250, "seed \(seed)")
    }
}
