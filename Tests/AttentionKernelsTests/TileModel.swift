import AttentionKernels
import CTileModel

/// The kernels on tile registers with these modelled in plain C: tests of what is built on tiles run on every machine, and the real
/// instructions are tested as the instruction set `amx` where there are any.
enum TileModel {
    static let all: [(name: String, kernels: KernelTable)] = [
        ("tile model, AVX2", sa_kernels__tile_model_avx2()), ("tile model, AVX-512", sa_kernels__tile_model_avx512()),
    ].compactMap { name, kernels in kernels.map { (name, KernelTable(functions: $0.pointee)) } }
}
