import AttentionCore
import Testing

@Suite struct AlignedBufferTests {
    /// 2^46 bytes are past every machine; 2^63 are past 64 bits with their sign.
    @Test(arguments: [[1 << 44, 1], [1 << 40, 1 << 40], [1 << 61, 4]]) func memoryThatIsNotThereIsRefused(extents: [Int]) throws {
        let error = try #require(throws: InputError.self) {
            _ = try AlignedBuffer<Float>(extents: extents[0], extents[1], of: "keys")
        }
        #expect(error.code == .systemFailure && error.field == "keys" && error.rule.contains("memory"))
        let bytes = extents[0] == 1 << 44 ? "\(1 << 46) bytes" : "\(extents[0]) · \(extents[1]) · 4 bytes"
        #expect(error.value == bytes)
    }

    @Test(arguments: [(3, 5), (0, 7), (1 << 10, 1 << 12)]) func extentsMakeTheCount(rows: Int, columns: Int) throws {
        let buffer = try AlignedBuffer<Float>(extents: rows, columns, of: "rows")
        #expect(buffer.count == rows * columns && buffer.elements.allSatisfy { $0 == 0 })
        #expect(Int(bitPattern: buffer.base) % AlignedBuffer<Float>.alignment == 0)
    }

    /// A terabyte of addresses, of which two pages are used.
    @Test func reservedRoomTakesNoMemory() throws {
        let buffer = try AlignedBuffer<Float>(extents: 1 << 38, of: "keys", reserving: true)
        buffer[0] = 1
        buffer[buffer.count - 1] = 2
        #expect(buffer[0] == 1 && buffer[1] == 0 && buffer[buffer.count - 1] == 2)
    }
}
