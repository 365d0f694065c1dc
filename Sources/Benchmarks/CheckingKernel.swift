import AttentionCore
import AttentionKernels
import Parallelism

extension InstructionSet {
    /// The kernel that answers are checked against: the scalar reference in FP32, or for itself the best there is.
    func checkingKernel(pool: WorkerPool) throws(InputError) -> AttentionKernel {
        try AttentionKernel(instructionSet: self == .scalar ? .best : .scalar, pool: pool)
    }

    /// The set that a whole model is checked on, for which the reference is slow: the narrowest vectors, or for themselves and on
    /// machines without them the reference.
    var modelCheckingSet: InstructionSet {
        guard let narrowest = Self.allCases.dropFirst().first, self != narrowest, narrowest.isAvailable else { return .scalar }
        return narrowest
    }
}
