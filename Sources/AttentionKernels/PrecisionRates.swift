import AttentionCore
import CAttentionKernels
import Parallelism

/// How fast an instruction set multiplies in each precision on some threads: what decides between them where nobody else does.
///
/// Which one is faster cannot be told from the instructions that a CPU lists: `vdpbf16ps` multiplies at twice the rate of FP32 on
/// Zen 4, and at half of it on Intel's cores, whose AMX tiles multiply at six times that rate and more.
public struct PrecisionRates: Hashable, Sendable, Codable {
    /// Multiply-adds in registers, two operations each, 10⁹ a second.
    public let fp32Gigaflops, bf16Gigaflops: Double

    public init(fp32Gigaflops: Double, bf16Gigaflops: Double) {
        self.fp32Gigaflops = fp32Gigaflops
        self.bf16Gigaflops = bf16Gigaflops
    }

    /// Measures both in turn, in bursts of some milliseconds on all threads, about 50 ms in all.
    ///
    /// - Throws: `InputError` (`unsupported`) when this machine lacks the instruction set.
    public init(instructionSet: InstructionSet, pool: WorkerPool) throws(InputError) {
        let functions = try instructionSet.kernels().functions
        let tiles = [functions.fp32, functions.bf16]
        let rates = MachinePeak.productRates(tiles, pool: pool, bursts: 6, burstSeconds: 0.004)
        self.init(fp32Gigaflops: rates[0], bf16Gigaflops: rates[1])
    }

    /// BF16 where it is faster by more than measuring is unsure of and its rounding of operands costs: by a quarter.
    public var fastest: Precision { gain > Self.leastGain ? .bf16 : .fp32 }

    /// Whether the choice would be the same had one of the rates been measured up to an eighth too low, as on a busy machine.
    public var areClear: Bool { !(Self.leastGain * 0.875...Self.leastGain / 0.875).contains(gain) }

    private static let leastGain = 1.25
    private var gain: Double { bf16Gigaflops / fp32Gigaflops }
}
