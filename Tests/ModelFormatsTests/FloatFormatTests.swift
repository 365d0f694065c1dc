import AttentionCore
import Foundation
import ModelFormats
import Testing

/// Conversion of stored weights to Float, through the public reader.
@Suite struct FloatFormatTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func read(_ type: String, _ data: [UInt8], count: Int, padding: Int = 0) throws -> [Float] {
        let header =
            #"{"w":{"dtype":"\#(type)","shape":[\#(count)],"data_offsets":[0,\#(data.count)]}}"#
            + String(repeating: " ", count: padding)
        let file = try SafetensorsFile(directory.write(safetensors(header, data: data), to: "w.safetensors"))
        var values = [Float](repeating: -1, count: count)
        try file.read("w", shape: [count], into: &values)
        return values
    }

    /// IEEE 754 binary16 by its definition.
    private func float16(_ bits: UInt16) -> Float {
        let exponent = Int(bits >> 10 & 31)
        let fraction = Double(bits & 1023) / 1024
        let magnitude = exponent == 0 ? fraction * 0x1p-14 : (1 + fraction) * exp2(Double(exponent - 15))
        return Float(bits & 0x8000 == 0 ? magnitude : -magnitude)
    }

    @Test func convertsEveryFiniteFloat16() throws {
        let patterns = (0...UInt16.max).filter { $0 & 0x7C00 != 0x7C00 }
        let values = try read("F16", patterns.flatMap(littleEndian), count: patterns.count)
        let wrong = zip(patterns, values).filter { float16($0).bitPattern != $1.bitPattern }
        #expect(wrong.isEmpty, "first: \(wrong.first.map { "\($0)" } ?? "")")
    }

    @Test func convertsKnownFloat16() throws {
        let patterns: [UInt16] = [0x3C00, 0xC000, 0x7BFF, 0x0400, 0x03FF, 0x0001, 0x8001, 0x8000, 0x3555]
        let expected: [Float] = [
            1, -2, 65504, 0x1p-14, 0x1.ff8p-15, 0x1p-24, -0x1p-24, -0.0, 0.333251953125,
        ]
        let values = try read("F16", patterns.flatMap(littleEndian), count: patterns.count)
        #expect(values.map(\.bitPattern) == expected.map(\.bitPattern))
    }

    @Test func convertsKnownBFloat16() throws {
        // One, minus two, the largest, the smallest normal, the smallest subnormal, minus zero, 3.140625.
        let patterns: [UInt16] = [0x3F80, 0xC000, 0x7F7F, 0x0080, 0x0001, 0x8000, 0x4049]
        let expected: [Float] = [1, -2, 0x1.fep127, 0x1p-126, 0x1p-133, -0.0, 3.140625]
        let values = try read("BF16", patterns.flatMap(littleEndian), count: patterns.count)
        #expect(values.map(\.bitPattern) == expected.map(\.bitPattern))
    }

    @Test(arguments: 0..<8) func readsAtAnyAlignment(padding: Int) throws {
        let expected: [Float] = [1, -2.5, 0x1p-149, 1e38]
        let data = expected.flatMap { littleEndian($0.bitPattern) }
        #expect(try read("F32", data, count: 4, padding: padding) == expected)
        #expect(try read("BF16", [0x80, 0x3F, 0x00, 0xC0], count: 2, padding: padding) == [1, -2])
    }

    /// Lengths around the conversion's chunk of 4,096.
    @Test(arguments: [0, 1, 4095, 4096, 4097, 8195]) func readsAnyLength(count: Int) throws {
        let patterns = (0..<count).map { UInt16(truncatingIfNeeded: 0x3F80 + $0 % 77) }
        let values = try read("BF16", patterns.flatMap(littleEndian), count: count)
        #expect(values.map(\.bitPattern) == patterns.map { UInt32($0) << 16 })
    }

    @Test(
        arguments: [
            ("F32", littleEndian(Float.nan.bitPattern), "NaN"), ("F32", littleEndian(Float.infinity.bitPattern), "inf"),
            ("F32", littleEndian((-Float.infinity).bitPattern), "-inf"), ("F16", [0x00, 0x7C], "inf"),
            ("F16", [0x01, 0xFC], "NaN"), ("BF16", [0x80, 0xFF], "-inf"), ("BF16", [0xC0, 0x7F], "NaN"),
        ] as [(String, [UInt8], String)])
    func refusesWhatIsNotFinite(type: String, bytes: [UInt8], name: String) throws {
        for index in [0, 17, 4096, 5000] {
            var data = [UInt8](repeating: 0, count: 5001 * bytes.count)
            data.replaceSubrange(index * bytes.count..<(index + 1) * bytes.count, with: bytes)
            expectError(.invalidData, field: "w", value: "\(name) at element \(index)", rule: "must be finite") {
                _ = try read(type, data, count: 5001)
            }
        }
    }
}
