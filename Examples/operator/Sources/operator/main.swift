import AttentionCore
import AttentionKernels
import Parallelism
import SampleAttention

// Random heads of 4,096 tokens. Every 64th key lies in the direction of all queries, so that they look there.
let (tokens, dimension) = (4096, 64)
func heads(_ count: Int, seed: UInt64, shift: (_ token: Int) -> Float = { _ in 0 }) throws -> HeadArray {
    var random = SeededGenerator(seed: seed)
    let numbers = (0..<count * tokens * dimension).map { Float(random.normal()) + shift($0 / dimension % tokens) }
    return try HeadArray(numbers, heads: count, tokens: tokens, dimension: dimension)
}
let query = try heads(8, seed: 1) { _ in 1 }
let key = try heads(2, seed: 2) { token in token % 64 == 0 ? 1 : 0 }
let value = try heads(2, seed: 3)

let attention = try SampleAttentionOperator(kernel: AttentionKernel(pool: WorkerPool(threads: 2)))
func attend(_ parameters: SampleAttentionParameters) throws -> (output: AttentionOutput, report: AttentionReport) {
    try attention.attend(
        query: query, key: key, value: value, parameters: Array(repeating: parameters, count: 8), certification: Certification())
}
let (sparse, dense) = try (attend(.standard), attend(.dense))
func norm(_ numbers: [Float]) -> Float { numbers.reduce(0) { $0 + $1 * $1 }.squareRoot() }
let error = norm(zip(sparse.output.heads.elements, dense.output.heads.elements).map(-)) / norm(dense.output.heads.elements)
let certified = sparse.report.certificates!.map(\.meanLowerBound).min()!

print("kept \(sparse.report.density) of the pairs, and with them at least \(certified) of every head's attention")
print("relative error \(error); kernel \(sparse.report.kernelSeconds) s, dense \(dense.report.kernelSeconds) s")
