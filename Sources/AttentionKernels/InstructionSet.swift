import AttentionCore
import CAttentionKernels

/// The SIMD instruction set the kernels run on.
public enum InstructionSet: String, CaseIterable, Sendable, Codable {
    case scalar, avx2, avx512

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
        }
    }
}

/// The microkernels of one instruction set (function pointers; see `CAttentionKernels.h` for each contract).
package struct KernelTable: @unchecked Sendable {
    package let functions: SAKernelTable

    /// Query rows a block holds, one a SIMD lane.
    package static let lanes = Int(SA_LANES)
    /// Keys whose scores are held at once.
    package static let tileKeys = Int(SA_TILE_KEYS)
}
