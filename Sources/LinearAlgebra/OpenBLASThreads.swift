import COpenBLAS

/// OpenBLAS's own threads, which stand in the way of callers that run products in the tasks of a pool.
package enum OpenBLASThreads {
    /// Reading it makes OpenBLAS work on the calling thread alone, once for the process: it keeps that number per process, not per thread.
    /// Every entry of this target reads it first, so that a program has nothing to set up, and one that never multiplies finds
    /// OpenBLAS as it was.
    static let areOff: Void = openblas_set_num_threads(1)

    /// The number that OpenBLAS has now.
    package static var count: Int { Int(openblas_get_num_threads()) }
}
