import AttentionCore
import AttentionKernels

/// Random heads of one shape on a kernel, which attention, selection and certificates are timed on.
package struct HeadBench: Sendable {
    let shape: AttentionShape
    let kernel: AttentionKernel
    let rounds: Int
    let seed: UInt64

    package init(shape: AttentionShape, kernel: AttentionKernel, rounds: Int, seed: UInt64) {
        (self.shape, self.kernel, self.rounds, self.seed) = (shape, kernel, rounds, seed)
    }
}
