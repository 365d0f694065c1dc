/// The floating-point storage formats that can be widened to Float exactly.
///
/// Conversion works on bit patterns, because Swift has no `Float16` on x86-64 Linux.
enum FloatFormat {
    case float32, float16, bfloat16

    /// An element that is not a number a weight may have.
    struct Fault {
        let index: Int
        let name: String
    }

    /// Elements converted at a time: small enough for the first-level cache.
    private static let chunk = 4096

    init?(_ type: TensorDataType) {
        switch type {
        case .float32: self = .float32
        case .float16: self = .float16
        case .bfloat16: self = .bfloat16
        default: return nil
        }
    }

    /// Bytes of one element.
    var size: Int { self == .float32 ? 4 : 2 }

    /// Widens every element of `source` (little-endian, any alignment); returns the first NaN or infinity.
    func convert(_ source: UnsafeRawBufferPointer, into destination: UnsafeMutablePointer<Float>) -> Fault? {
        let size = size
        let count = source.count / size
        return withUnsafeTemporaryAllocation(of: UInt16.self, capacity: Self.chunk) { halves in
            for start in stride(from: 0, to: count, by: Self.chunk) {
                let length = min(Self.chunk, count - start)
                let part = UnsafeRawBufferPointer(rebasing: source[start * size..<(start + length) * size])
                let output = destination + start
                if self == .float32 {
                    UnsafeMutableRawPointer(output).copyMemory(from: part.baseAddress!, byteCount: part.count)
                } else {
                    UnsafeMutableRawBufferPointer(halves).copyMemory(from: part)  // Aligns the elements.
                    let input = UnsafePointer(halves.baseAddress!)
                    if self == .float16 {
                        Self.widenFloat16(input, output, length)
                    } else {
                        Self.widenBFloat16(input, output, length)
                    }
                }
                if let fault = Self.firstFault(output, length) { return Fault(index: start + fault.index, name: fault.name) }
            }
            return nil
        }
    }

    /// bfloat16 is the upper half of a Float.
    private static func widenBFloat16(
        _ input: UnsafePointer<UInt16>, _ output: UnsafeMutablePointer<Float>, _ count: Int
    ) {
        var index = 0
        while index < count {
            output[index] = Float(bitPattern: UInt32(input[index]) << 16)
            index += 1
        }
    }

    private static func widenFloat16(
        _ input: UnsafePointer<UInt16>, _ output: UnsafeMutablePointer<Float>, _ count: Int
    ) {
        var index = 0
        while index < count {
            output[index] = widened(float16: input[index])
            index += 1
        }
    }

    /// Moves exponent and fraction into a Float's fields and multiplies by 2^(127 − 15), which is exact and makes
    /// half-precision subnormals normal. Exponent 31 (infinity, NaN) keeps its fraction under a Float exponent of 255.
    @inline(__always) static func widened(float16 bits: UInt16) -> Float {
        let half = UInt32(bits)
        let magnitude = (half & 0x7FFF) << 13
        let scaled = (Float(bitPattern: magnitude) * 0x1p112).bitPattern
        let widened = half & 0x7C00 == 0x7C00 ? magnitude | 0x7F80_0000 : scaled
        return Float(bitPattern: widened | (half & 0x8000) << 16)
    }

    /// The first NaN or infinity of `count` values.
    static func firstFault(_ values: UnsafeMutablePointer<Float>, _ count: Int) -> Fault? {
        firstNonFinite(values, count).map { Fault(index: $0, name: values[$0].isNaN ? "NaN" : "\(values[$0])") }
    }

    private static func firstNonFinite(_ values: UnsafeMutablePointer<Float>, _ count: Int) -> Int? {
        // Adding the fields' lowest bit carries into the sign exactly when the exponent is all ones.
        var carried: UInt32 = 0
        var index = 0
        while index < count {
            carried |= (values[index].bitPattern & 0x7F80_0000) &+ 0x0080_0000
            index += 1
        }
        guard carried & 0x8000_0000 != 0 else { return nil }
        return (0..<count).first { !values[$0].isFinite }
    }
}
