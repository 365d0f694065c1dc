/// Blocks of 32 numbers with one scale d, and in the formats that end in 1 an offset m.
///
/// A number is d·q in Q8_0, d·(q − 8) in Q4_0, d·(q − 16) in Q5_0 and d·q + m in Q4_1 and Q5_1. Byte i of 16 carries the low four bits of
/// numbers i and 16 + i; the fifth bits of Q5 stand apart, bit i of 32 for number i.
/// Source: the structures `block_q4_0` to `block_q8_0` of ggml.
///
/// The order of the operations is ggml's, because it decides the last bit. Every function takes a number of whole blocks, which it does not
/// check, and writes 32 numbers for each.
enum ScaledBlocks {
    private static let length = 32

    static func convertQ8x0(_ source: UnsafeRawPointer, _ count: Int, _ output: UnsafeMutablePointer<Float>) {
        for index in 0..<count {
            let (block, values) = (source + index * 34, output + index * length)
            let scale = block.float16(at: 0)
            let numbers = (block + 2).assumingMemoryBound(to: Int8.self)
            var position = 0
            while position < length {
                values[position] = scale * Float(Int32(numbers[position]))
                position += 1
            }
        }
    }

    static func convertQ4x0(_ source: UnsafeRawPointer, _ count: Int, _ output: UnsafeMutablePointer<Float>) {
        for index in 0..<count {
            let (block, values) = (source + index * 18, UnsafeMutableRawPointer(output + index * length))
            let scale = block.float16(at: 0)
            let bytes = block.loadUnaligned(fromByteOffset: 2, as: SIMD16<UInt8>.self)
            values.store((integers(bytes & 15) &- 8).floats * scale, half: 0)
            values.store((integers(bytes &>> 4) &- 8).floats * scale, half: 1)
        }
    }

    static func convertQ4x1(_ source: UnsafeRawPointer, _ count: Int, _ output: UnsafeMutablePointer<Float>) {
        for index in 0..<count {
            let (block, values) = (source + index * 20, UnsafeMutableRawPointer(output + index * length))
            let (scale, offset) = (block.float16(at: 0), block.float16(at: 2))
            let bytes = block.loadUnaligned(fromByteOffset: 4, as: SIMD16<UInt8>.self)
            values.store(integers(bytes & 15).floats * scale + offset, half: 0)
            values.store(integers(bytes &>> 4).floats * scale + offset, half: 1)
        }
    }

    static func convertQ5x0(_ source: UnsafeRawPointer, _ count: Int, _ output: UnsafeMutablePointer<Float>) {
        for index in 0..<count {
            let (block, values) = (source + index * 22, UnsafeMutableRawPointer(output + index * length))
            let scale = block.float16(at: 0)
            let (low, high) = fiveBits(block + 2)
            values.store((integers(low) &- 16).floats * scale, half: 0)
            values.store((integers(high) &- 16).floats * scale, half: 1)
        }
    }

    static func convertQ5x1(_ source: UnsafeRawPointer, _ count: Int, _ output: UnsafeMutablePointer<Float>) {
        for index in 0..<count {
            let (block, values) = (source + index * 24, UnsafeMutableRawPointer(output + index * length))
            let (scale, offset) = (block.float16(at: 0), block.float16(at: 2))
            let (low, high) = fiveBits(block + 4)
            values.store(integers(low).floats * scale + offset, half: 0)
            values.store(integers(high).floats * scale + offset, half: 1)
        }
    }

    /// The 32 integers of five bits behind `source`: four bytes of fifth bits, then 16 of low bits.
    @inline(__always) private static func fiveBits(_ source: UnsafeRawPointer) -> (low: SIMD16<UInt8>, high: SIMD16<UInt8>) {
        let fifth = source.loadUnaligned(as: SIMD4<UInt8>.self)
        let bytes = source.loadUnaligned(fromByteOffset: 4, as: SIMD16<UInt8>.self)
        return (bytes & 15 | sixteens(fifth[0], fifth[1]), bytes &>> 4 | sixteens(fifth[2], fifth[3]))
    }

    /// 16 for each bit that is set, 0 for each that is not. Vectors have no shift by a different number of places in each lane before AVX2.
    @inline(__always) private static func sixteens(_ first: UInt8, _ second: UInt8) -> SIMD16<UInt8> {
        let places = SIMD16<UInt8>(1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128)
        let bits = SIMD16(lowHalf: SIMD8(repeating: first), highHalf: SIMD8(repeating: second)) & places
        return SIMD16<UInt8>(repeating: 0).replacing(with: 16, where: bits .== places)
    }

    @inline(__always) private static func integers(_ bytes: SIMD16<UInt8>) -> SIMD16<Int32> { SIMD16<Int32>(truncatingIfNeeded: bytes) }
}

extension SIMD16<Int32> {
    @inline(__always) fileprivate var floats: SIMD16<Float> { SIMD16<Float>(self) }
}

extension UnsafeMutableRawPointer {
    @inline(__always) fileprivate func store(_ values: SIMD16<Float>, half: Int) {
        storeBytes(of: values, toByteOffset: half * MemoryLayout<SIMD16<Float>>.size, as: SIMD16<Float>.self)
    }
}

extension UnsafeRawPointer {
    /// The half-precision number at an offset of any alignment.
    @inline(__always) func float16(at offset: Int) -> Float {
        FloatFormat.widened(float16: UInt16(littleEndian: loadUnaligned(fromByteOffset: offset, as: UInt16.self)))
    }
}
