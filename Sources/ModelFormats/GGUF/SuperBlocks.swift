/// Blocks of 256 numbers that are cut into parts, whose scales are themselves small integers with one scale d for the block.
///
/// Q4_K and Q5_K have eight parts of 32 with a scale s and a minimum t each, in 12 bytes: a number is (d·s)·q − (e·t), where e is the scale
/// of the minima. Q6_K has 16 parts of 16 with a scale s: a number is (d·s)·(q − 32).
/// Source: the structures `block_q4_K` to `block_q6_K` of ggml.
///
/// The grouping of the products is ggml's, because it decides the last bit. Every function takes a number of whole blocks, which it does not
/// check, and writes 256 numbers for each.
enum SuperBlocks {
    private static let length = 256
    /// Numbers of a part of Q4_K and Q5_K.
    private static let part = 32
    /// Numbers of a part of Q6_K.
    private static let smallPart = 16

    /// 32 bytes carry two parts: the first in their low bits, the second in their high bits.
    static func convertQ4K(_ source: UnsafeRawPointer, _ count: Int, _ output: UnsafeMutablePointer<Float>) {
        for index in 0..<count {
            let block = source + index * 144
            let scales = PartScales(block)
            for pair in 0..<4 {
                let bytes = (block + 16 + part * pair).assumingMemoryBound(to: UInt8.self)
                let values = output + index * length + 2 * part * pair
                let (first, second) = (scales[2 * pair], scales[2 * pair + 1])
                var position = 0
                while position < part {
                    let byte = bytes[position]
                    values[position] = first.step * Float(Int32(byte & 15)) - first.minimum
                    values[part + position] = second.step * Float(Int32(byte >> 4)) - second.minimum
                    position += 1
                }
            }
        }
    }

    /// As Q4_K, with 32 bytes of fifth bits before: bit j of byte l is that of number l in part j.
    static func convertQ5K(_ source: UnsafeRawPointer, _ count: Int, _ output: UnsafeMutablePointer<Float>) {
        for index in 0..<count {
            let block = source + index * 176
            let scales = PartScales(block)
            let fifth = (block + 16).assumingMemoryBound(to: UInt8.self)
            for pair in 0..<4 {
                let bytes = (block + 48 + part * pair).assumingMemoryBound(to: UInt8.self)
                let values = output + index * length + 2 * part * pair
                let (first, second) = (scales[2 * pair], scales[2 * pair + 1])
                let places = UInt8(2 * pair)
                var position = 0
                while position < part {
                    let (byte, bits) = (bytes[position], fifth[position] &>> places)
                    values[position] = first.step * Float(Int32(byte & 15 | (bits & 1) << 4)) - first.minimum
                    values[part + position] = second.step * Float(Int32(byte >> 4 | (bits & 2) << 3)) - second.minimum
                    position += 1
                }
            }
        }
    }

    /// Each half of a block: 64 bytes of low bits and 32 of high bits carry four quarters of 32 numbers.
    static func convertQ6K(_ source: UnsafeRawPointer, _ count: Int, _ output: UnsafeMutablePointer<Float>) {
        for index in 0..<count {
            let block = source + index * 210
            let scale = block.float16(at: 208)
            for half in 0..<2 {
                for quarterHalf in 0..<2 {
                    let start = smallPart * quarterHalf
                    let low = (block + 64 * half + start).assumingMemoryBound(to: UInt8.self)
                    let high = (block + 128 + 32 * half + start).assumingMemoryBound(to: UInt8.self)
                    let scales = (block + 192 + 8 * half + quarterHalf).assumingMemoryBound(to: Int8.self)
                    let values = output + index * length + 128 * half + start
                    let steps = (scale * Float(scales[0]), scale * Float(scales[2]), scale * Float(scales[4]), scale * Float(scales[6]))
                    var position = 0
                    while position < smallPart {
                        let (first, second, bits) = (low[position], low[32 + position], high[position])
                        values[position] = steps.0 * Float(Int32(first & 15 | (bits & 3) << 4) &- 32)
                        values[32 + position] = steps.1 * Float(Int32(second & 15 | (bits & 12) << 2) &- 32)
                        values[64 + position] = steps.2 * Float(Int32(first >> 4 | bits & 48) &- 32)
                        values[96 + position] = steps.3 * Float(Int32(second >> 4 | (bits & 192) >> 2) &- 32)
                        position += 1
                    }
                }
            }
        }
    }
}

/// The scales and minima of the eight parts of a Q4_K or Q5_K block.
private struct PartScales {
    private let scale, minimumScale: Float
    private let packed: UnsafePointer<UInt8>

    @inline(__always) init(_ block: UnsafeRawPointer) {
        (scale, minimumScale) = (block.float16(at: 0), block.float16(at: 2))
        packed = (block + 4).assumingMemoryBound(to: UInt8.self)
    }

    /// Six bits each of scale and minimum: those of the first four parts lie in bytes of their own, whose upper two bits belong to the
    /// others.
    @inline(__always) subscript(part: Int) -> (step: Float, minimum: Float) {
        let bits: (scale: UInt8, minimum: UInt8) =
            part < 4
            ? (packed[part] & 63, packed[part + 4] & 63)
            : (
                packed[part + 4] & 15 | (packed[part - 4] >> 6) << 4, packed[part + 4] >> 4 | (packed[part] >> 6) << 4
            )
        return (scale * Float(bits.scale), minimumScale * Float(bits.minimum))
    }
}
