import AttentionKernels
import CTileModel
import Parallelism
import Testing

/// One instruction set's microkernels in one precision.
struct KernelVariant: Sendable, CustomTestStringConvertible {
    let name: String
    let table: KernelTable
    let precision: Precision
    private let set: InstructionSet

    var testDescription: String { "\(name), \(precision.rawValue)" }

    /// Every instruction set of this machine in both precisions, and the BF16 kernels on tile registers with these modelled in plain C:
    /// what is built on tiles is tested on every machine, and the real instructions as the set `amx` where there are any.
    static let all: [KernelVariant] =
        InstructionSet.allCases.filter(\.isAvailable).flatMap { set in
            Precision.allCases.map { KernelVariant(name: set.rawValue, table: try! set.kernels(), precision: $0, set: set) }
        }
        + [("tile model, AVX2", sa_kernels__tile_model_avx2()), ("tile model, AVX-512", sa_kernels__tile_model_avx512())]
        .compactMap { name, kernels in
            kernels.map { KernelVariant(name: name, table: KernelTable(functions: $0.pointee), precision: .bf16, set: .scalar) }
        }

    var isScalar: Bool { name == InstructionSet.scalar.rawValue }
    var tiles: SATileKernelTable { table.tiles(precision) }

    func kernel(threads: Int) -> AttentionKernel {
        AttentionKernel(instructionSet: set, kernels: table, precision: precision, pool: WorkerPool(threads: threads))
    }
}
