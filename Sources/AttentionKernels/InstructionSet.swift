import AttentionCore
import CAttentionKernels

/// The SIMD instruction set the kernels run on.
public enum InstructionSet: String, Sendable, NamedCase {
    case scalar, avx2, avx512
    /// AVX-512 with BF16 products in hardware; FP32 as `avx512`.
    case avx512bf16

    /// The fastest set this machine and this build have.
    public static let best: InstructionSet = allCases.last { $0.isAvailable } ?? .scalar

    /// True when this machine can run it.
    public var isAvailable: Bool { sa_kernels(code) != nil }

    /// - Throws: `InputError` (`unsupported`) when this machine lacks the instruction set.
    package func kernels() throws(InputError) -> KernelTable {
        guard let table = sa_kernels(code) else {
            throw InputError(.unsupported, field: "isa", value: rawValue, rule: "this machine does not have these instructions")
        }
        return KernelTable(functions: table.pointee)
    }

    private var code: SAInstructionSet {
        switch self {
        case .scalar: SA_SCALAR
        case .avx2: SA_AVX2
        case .avx512: SA_AVX512
        case .avx512bf16: SA_AVX512BF16
        }
    }
}

/// The number format of the operands of matrix products; every sum is FP32 in both.
public enum Precision: String, Sendable, NamedCase {
    /// Operands as they are.
    case fp32
    /// Operands rounded to BF16 (8 significant bits, relative error up to 2⁻⁸) as they are packed. Runs everywhere, and fast
    /// where the instruction set has BF16 products.
    case bf16

    /// 32-bit elements that `count` neighbours of a product's inner axis fill.
    func steps(_ count: Int) -> Int { self == .bf16 ? (count + 1) / 2 : count }
}

/// The microkernels of one instruction set (function pointers; see `CAttentionKernels.h` for each contract).
package struct KernelTable: @unchecked Sendable {
    package let functions: SAKernelTable

    /// The kernels whose operands have the given precision.
    package func tiles(_ precision: Precision) -> SATileKernelTable {
        switch precision {
        case .fp32: functions.fp32
        case .bf16: functions.bf16
        }
    }

    /// Query rows a block holds, one a SIMD lane.
    package static let lanes = Int(SA_LANES)
    /// Keys whose scores are held at once.
    package static let tileKeys = Int(SA_TILE_KEYS)
}
