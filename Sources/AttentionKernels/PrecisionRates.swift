import AttentionCore
import CAttentionKernels
import Parallelism

/// How fast an instruction set multiplies in each precision on one thread: what decides between them where nobody else does.
///
/// Which one is faster cannot be told from the instructions that a CPU lists: `vdpbf16ps` multiplies at twice the rate of FP32 on
/// Zen 4, and at half of it on Intel's cores, whose AMX tiles multiply at six times that rate and more.
public struct PrecisionRates: Hashable, Sendable, Codable {
    /// Multiply-adds in registers, two operations each, 10⁹ a second.
    public let fp32Gigaflops, bf16Gigaflops: Double
    /// Whether several bursts gave nearly the best rate: on a busy machine a thread has moments when it runs at half of it or waits.
    public let areSteady: Bool

    public init(fp32Gigaflops: Double, bf16Gigaflops: Double, areSteady: Bool = true) {
        self.fp32Gigaflops = fp32Gigaflops
        self.bf16Gigaflops = bf16Gigaflops
        self.areSteady = areSteady
    }

    /// Measures both in turn, in bursts of two milliseconds on the calling thread, about 50 ms in all: a single thread finds a core for
    /// itself also where others work, all threads at once do not.
    ///
    /// - Throws: `InputError` (`unsupported`) when this machine lacks the instruction set.
    public init(instructionSet: InstructionSet) throws(InputError) {
        let functions = try instructionSet.kernels().functions
        let rates = MachinePeak.productRates(
            [functions.fp32, functions.bf16], pool: WorkerPool(threads: 1), bursts: 12, burstSeconds: 0.002)
        self.init(
            fp32Gigaflops: rates[0][0], bf16Gigaflops: rates[1][0], areSteady: rates.allSatisfy { $0[3] >= Self.steadyShare * $0[0] })
    }

    /// BF16 where it is faster by more than measuring is unsure of and its rounding of operands costs: by a quarter.
    public var fastest: Precision { gain > Self.leastGain ? .bf16 : .fp32 }

    /// Whether the choice is one to keep: the rates were steady, and it would be the same had one of them been an eighth too low.
    public var areClear: Bool { areSteady && !(Self.leastGain * Self.steadyShare...Self.leastGain / Self.steadyShare).contains(gain) }

    private static let leastGain = 1.25
    private static let steadyShare = 0.875
    private var gain: Double { bf16Gigaflops / fp32Gigaflops }
}
