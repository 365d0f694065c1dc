import CAttentionKernels
import Parallelism

extension WorkerPool {
    /// The cores that this process may run on: fewer than the machine has under `taskset` and in some containers.
    public static var availableCores: Int { Int(sa_available_cores()) }
}
