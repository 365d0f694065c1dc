import AttentionCore
import AttentionTestSupport
import Foundation
import ModelFormats
import Testing

@Suite struct GGUFFileTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func open(_ bytes: [UInt8]) throws -> GGUFFile { try GGUFFile(directory.write(bytes, to: "a.gguf")) }

    private static func writer(_ tensors: GGUFWriter.Tensor..., metadata: [(String, GGUFWriter.Value)] = []) -> GGUFWriter {
        var writer = GGUFWriter()
        (writer.tensors, writer.metadata) = (tensors, metadata)
        return writer
    }

    private static let sound = writer(
        .init("a", shape: [2, 3], [1, 2, 3, 4, 5, 6]), .init("none", shape: [0, 7], []), .init("one", shape: [], [-2.5]),
        .init("b", shape: [4], type: 1, data: [0x00, 0x3C, 0x00, 0xC0, 0x00, 0x00, 0xFF, 0x7B]),
        metadata: [("general.name", .text("tiny")), ("list", .texts(["x", ""]))])

    @Test(arguments: [2, 3] as [UInt32]) func readsWhatTheHeaderSays(version: UInt32) throws {
        var writer = Self.sound
        writer.version = version
        let file = try open(writer.encoded())
        #expect(file.tensors.map(\.name) == ["a", "none", "one", "b"])
        #expect(file.tensors.map(\.shape) == [[2, 3], [0, 7], [], [4]])
        #expect(file.tensors.map(\.type.name) == ["F32", "F32", "F32", "F16"])
        #expect(file.contains("b") && !file.contains("c"))
        var values = [Float](repeating: 0, count: 4)
        try file.read("b", rows: 0..<1, into: &values)
        #expect(values == [1, -2, 0, 65504])
        try file.read("a", rows: 1..<2, into: &values)
        #expect(values.prefix(3) == [4, 5, 6])
        try file.read("one", rows: 0..<1, into: &values)
        #expect(values[0] == -2.5)
        try file.read("none", rows: 0..<0, into: &values)
        #expect(try file.metadata.string("general.name") == "tiny")
        #expect(try file.metadata.strings("list") == ["x", ""])
    }

    @Test func readsEveryKindOfValue() throws {
        let metadata = try GGUFFile(goldenFolder().appending(path: "tiny-f32.gguf").path).metadata
        let expected: [(String, GGUFValue)] = [
            ("u8", .unsigned(200)), ("i8", .signed(-100)), ("u16", .unsigned(60000)), ("i16", .signed(-30000)),
            ("u32", .unsigned(4_000_000_000)), ("i32", .signed(-2_000_000_000)), ("u64", .unsigned(9_223_372_036_854_775_813)),
            ("i64", .signed(-4_611_686_018_427_387_911)), ("f32", .float(0.1)), ("f64", .double(0.1)), ("true", .bool(true)),
            ("false", .bool(false)), ("string", .string("naïve 🐋")),
            ("strings", .array([.string(""), .string("a"), .string("鲸")])), ("ints", .array([.signed(1), .signed(-2), .signed(3)])),
            ("floats", .array([.float(0.5), .float(-1.25)])), ("bools", .array([.bool(true), .bool(false), .bool(true)])),
        ]
        for (name, value) in expected { #expect(metadata.value("test." + name) == value, "\(name)") }
        #expect(metadata.keys.filter { $0.hasPrefix("test.") }.count == expected.count)
        #expect(metadata.value("test.f32")?.number == 0.1, "the decimal that a Float was rounded from")
        #expect(metadata.value("test.u64")?.integer == nil && metadata.value("test.u32")?.integer == 4_000_000_000)
    }

    @Test func readsNestedLists() throws {
        let inner = GGUFWriter.Value.list([.int32(1), .int32(2)], type: 5)
        let nested = GGUFWriter.Value.list([inner, .list([], type: 5)], type: 9)
        let file = try open(Self.writer(metadata: [("nested", nested)]).encoded())
        #expect(file.metadata.value("nested") == .array([.array([.signed(1), .signed(2)]), .array([])]))
    }

    @Test func alignsDataAsTheFileSays() throws {
        var writer = Self.sound
        writer.alignment = 256
        writer["general.alignment"] = .uint32(256)
        let file = try open(writer.encoded())
        #expect(file.tensors.allSatisfy { $0.bytes!.lowerBound % 256 == 0 })
        var values = [Float](repeating: 0, count: 6)
        try file.read("a", rows: 0..<2, into: &values)
        #expect(values == [1, 2, 3, 4, 5, 6])
    }

    @Test func refusesWhatTheCallerDidNotExpect() throws {
        var writer = Self.sound
        writer.tensors += [.init("q2", shape: [1, 256], type: 10, data: []), .init("new", shape: [7], type: 99, data: [])]
        let file = try open(writer.encoded())
        var values = [Float](repeating: 0, count: 256)
        expectError(.invalidData, field: "c", rule: "tensor is missing", file: file.path) { _ = try file.tensor("c") }
        expectError(.invalidData, field: "a", value: "[2, 3]", rule: "must have 3 rows") { try file.read("a", rows: 0..<3, into: &values) }
        expectError(.unsupported, field: "q2", value: "Q2_K", rule: "must be one of F32, F16, Q4_0") {
            try file.read("q2", rows: 0..<1, into: &values)
        }
        expectError(.unsupported, field: "new", value: "type 99") { try file.read("new", rows: 0..<1, into: &values) }
        expectError(.missingInput) { _ = try GGUFFile(directory.path + "/absent.gguf") }
        let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"
        expectError(.invalidData, value: "a git-lfs pointer", rule: "git lfs pull") { _ = try open(Array(pointer.utf8)) }
    }

    /// A scale that is no number spoils its block; the place is that of the first number in the tensor.
    @Test func refusesWhatIsNotFinite() throws {
        let sound = [UInt8](repeating: 1, count: 34)
        let writer = Self.writer(
            .init(
                "w", shape: [3, 64], type: 8, data: [sound, sound, sound, [0x00, 0x7C] + sound.dropFirst(2), sound, sound].flatMap(\.self)))
        let file = try open(writer.encoded())
        var values = [Float](repeating: 0, count: 192)
        try file.read("w", rows: 2..<3, into: &values)
        expectError(.invalidData, field: "w", value: "inf at element 96", rule: "must be finite") {
            try file.read("w", rows: 1..<2, into: &values)
        }
        expectError(.invalidData, field: "w", value: "inf at element 96") { try file.read("w", rows: 0..<3, into: &values) }
    }

    struct Violation: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let bytes: [UInt8]
        let field: String
        let rule: String
        var code = InputError.Code.invalidData

        init(_ name: String, _ bytes: [UInt8], field: String = "header", rule: String, code: InputError.Code = .invalidData) {
            (testDescription, self.bytes, self.field, self.rule, self.code) = (name, bytes, field, rule, code)
        }

        init(_ name: String, tensor: GGUFWriter.Tensor, rule: String) {
            self.init(name, GGUFFileTests.writer(tensor).encoded(), field: tensor.name, rule: rule)
        }

        init(_ name: String, value: GGUFWriter.Value, rule: String) {
            self.init(name, GGUFFileTests.writer(metadata: [("k", value)]).encoded(), field: "k", rule: rule)
        }
    }

    private static func beginning(_ magic: String = "GGUF", version: UInt32 = 3, tensors: UInt64 = 0, metadata: UInt64 = 0) -> [UInt8] {
        Array(magic.utf8) + littleEndian(version) + littleEndian(tensors) + littleEndian(metadata) + [UInt8](repeating: 0, count: 64)
    }

    private static func aligned(_ alignment: UInt32) -> [UInt8] {
        writer(metadata: [("general.alignment", .uint32(alignment))]).encoded()
    }

    static let violations: [Violation] = [
        .init("another format", Array("GGML".utf8) + [0, 0, 0, 0], rule: "must begin with GGUF"),
        .init("3 bytes", Array("GGU".utf8), rule: "must begin with GGUF"),
        .init("only a beginning", Array("GGUF".utf8), rule: "the file ends"),
        .init("version 1", beginning(version: 1), rule: "must be version 2 or 3", code: .unsupported),
        .init("version 4", beginning(version: 4), rule: "must be version 2 or 3", code: .unsupported),
        .init("big-endian", beginning(version: UInt32(3).byteSwapped), rule: "little-endian", code: .unsupported),
        .init("tensors beyond the file", beginning(tensors: 1000), rule: "must fit in the file"),
        .init("2⁶⁴ − 1 tensors", beginning(tensors: .max), rule: "must fit in the file"),
        .init("2⁶⁴ − 1 values", beginning(metadata: .max), rule: "must fit in the file"),
        .init("repeated key", writer(metadata: [("k", .bool(true)), ("k", .bool(true))]).encoded(), field: "k", rule: "must occur once"),
        .init("a type that is none", value: .init(type: 13, bytes: [0]), rule: "a type from 0 to 12"),
        .init("a truth that is none", value: .init(type: 7, bytes: [2]), rule: "must be 0 or 1"),
        .init("a text beyond the file", value: .init(type: 8, bytes: littleEndian(UInt64.max)), rule: "must fit in the file"),
        .init("a text that is no UTF-8", value: .init(type: 8, bytes: littleEndian(UInt64(2)) + [0xC3, 0x28]), rule: "UTF-8"),
        .init(
            "a list beyond the file", value: .init(type: 9, bytes: littleEndian(UInt32(8)) + littleEndian(UInt64(1) << 60)),
            rule: "must fit"),
        .init(
            "a nest", value: .init(type: 9, bytes: (0..<100).flatMap { _ in littleEndian(UInt32(9)) + littleEndian(UInt64(1)) }),
            rule: "must not nest deeper"),
        .init("alignment 0", aligned(0), field: "general.alignment", rule: "must be an integer in 1..."),
        .init("alignment 24", aligned(24), field: "general.alignment", rule: "power of two"),
        .init("alignment 2³¹", aligned(1 << 31), field: "general.alignment", rule: "must be an integer in 1..."),
        .init(
            "repeated tensor", writer(.init("w", shape: [1], [1]), .init("w", shape: [1], [1])).encoded(), field: "w",
            rule: "must occur once"),
        .init("five extents", tensor: .init("w", shape: [1, 1, 1, 1, 1], [1]), rule: "at most 4"),
        .init("overflowing extents", tensor: .init("w", shape: [1 << 32, 1 << 32], [1]), rule: "overflow"),
        .init("an extent of 2⁶³", tensor: .init("w", shape: [0, 1 << 63], [1]), rule: "overflow"),
        .init("overflowing bytes", tensor: .init("w", shape: [1 << 61], [1]), rule: "overflow"),
        .init("a row whose bytes overflow, of no rows", tensor: .init("w", shape: [0, 1 << 62], []), rule: "overflow"),
        .init("broken blocks", tensor: .init("w", shape: [2, 48], type: 8, data: [UInt8](repeating: 0, count: 102)), rule: "blocks of 32"),
        .init(
            "broken super-blocks", tensor: .init("w", shape: [1, 128], type: 12, data: [UInt8](repeating: 0, count: 144)),
            rule: "blocks of 256"),
        .init(
            "an offset between", tensor: .init("w", shape: [1], type: 0, data: [0, 0, 0, 0], offset: 4),
            rule: "multiple of the alignment, 32"),
        .init("beyond the data", tensor: .init("w", shape: [9], [1]), rule: "must lie in the file"),
        .init("an offset of 2⁶³", tensor: .init("w", shape: [1], type: 0, data: [], offset: 1 << 63), rule: "must lie in the file"),
        .init("an offset behind", tensor: .init("w", shape: [1], type: 0, data: [], offset: 1 << 20), rule: "must lie in the file"),
    ]

    @Test(arguments: violations) func refuses(_ violation: Violation) throws {
        expectError(violation.code, field: violation.field, rule: violation.rule) { _ = try open(violation.bytes) }
    }

    @Test func refusesEveryTruncation() throws {
        let bytes = Self.sound.encoded()
        // The last tensor's data are followed by padding, which may be missing.
        for length in 1...bytes.count - 32 + 7 { expectError(.invalidData) { _ = try open(Array(bytes.prefix(length))) } }
        #expect(try open(Array(bytes.prefix(bytes.count - 32 + 8))).tensors.count == 4)
    }
}
