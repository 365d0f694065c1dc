import AttentionCore
import CAttentionKernels

/// How the numbers of keys and values are kept between their making and their use.
public enum RowFormat: String, Sendable, NamedCase {
    case fp32
    /// Two bytes a number: rounded to 8 significant bits, relative error up to 2⁻⁸.
    case bf16
    /// Eight bits a number and a scale a row: x ≈ scale · q, scale = max |x| / 127, error up to half a scale.
    case int8

    /// Bytes of one number.
    public var numberBytes: Int {
        switch self {
        case .fp32: 4
        case .bf16: 2
        case .int8: 1
        }
    }

    /// Whether each row has a scale of its own.
    public var hasScales: Bool { self == .int8 }

    /// Keeps a row of floats. In BF16 and INT8 one that is not finite, or too large for BF16, becomes one that is NaN throughout: whoever
    /// reads it says so.
    ///
    /// - Parameters:
    ///   - numbers: room for `count` numbers of this format.
    ///   - scale: the row's; written where the format has scales.
    public func keep(
        _ row: UnsafePointer<Float>, count: Int, numbers: UnsafeMutableRawPointer, scale: UnsafeMutablePointer<Float>?
    ) {
        switch self {
        case .fp32: numbers.copyMemory(from: row, byteCount: 4 * count)
        case .bf16: Self.round(row, count: count, into: numbers.assumingMemoryBound(to: UInt16.self))
        case .int8: scale!.pointee = Self.kernels.functions.quantize_row(row, Int32(count), numbers.assumingMemoryBound(to: Int8.self))
        }
    }

    /// What they make of a row is the same on every instruction set.
    private static let kernels = try! InstructionSet.best.kernels()

    /// To nearest, ties to even.
    private static func round(_ row: UnsafePointer<Float>, count: Int, into target: UnsafeMutablePointer<UInt16>) {
        var isFinite = true
        for t in 0..<count {
            let bits = row[t].bitPattern
            let rounded = UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ (bits >> 16 & 1)) >> 16)
            // The largest floats round to infinity.
            isFinite = isFinite && rounded & 0x7F80 != 0x7F80 && row[t].isFinite
            target[t] = rounded
        }
        if !isFinite { target.update(repeating: 0x7FC0, count: count) }
    }
}
