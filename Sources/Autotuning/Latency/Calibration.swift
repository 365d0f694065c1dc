import AttentionCore
import AttentionKernels
import RunProvenance
import SampleAttention

/// Measures a machine: layers of many lengths and patterns, timed with the real selection and kernel.
///
/// All settings of all lengths are timed in turn, several times over, and each counts with its median: a busy moment of the machine
/// meets every setting once at most. Takes about twenty seconds at d = 64 on two AVX-512 cores.
public struct Calibration: Sendable {
    /// What is done and what there is to do, for progress: layers, and what is timed at the moment.
    public typealias Progress = (_ done: Int, _ total: Int, _ status: String) -> Void

    /// Prompt lengths that are measured unless the caller says otherwise.
    public static let standardLengths = [512, 1024, 2048, 4096, 8192, 16_384, 32_768]
    /// How often the settings are gone through.
    static let passes = 9
    /// Rows of a certificate.
    static let certifiedRows = Certification.standardRows

    let kernel: AttentionKernel
    let headDimension: Int
    /// Those that are measured, ascending.
    package let lengths: [Int]
    let seed: UInt64

    /// - Parameters:
    ///   - lengths: ascending.
    ///   - mostSeconds: a length whose dense layer would take longer is left out (but never the first three), so that slow
    ///     instruction sets and large heads do not take minutes.
    public init(
        kernel: AttentionKernel, headDimension: Int, lengths: [Int] = Self.standardLengths, mostSeconds: Double = 2, seed: UInt64 = 1
    ) throws(InputError) {
        precondition(!lengths.isEmpty && lengths.first! > 0, "a calibration has lengths to measure")
        self.kernel = kernel
        self.headDimension = headDimension
        self.seed = seed
        let first = Array(lengths.prefix(3))
        let rate = try Self.denseSecondsPerPair(kernel: kernel, headDimension: headDimension, length: min(1024, first.last!), seed: seed)
        self.lengths =
            first
            + lengths.dropFirst(3).filter { length in
                Double(Self.heads(length: length) * length) * Double(length + 1) / 2 * rate <= mostSeconds
            }
    }

    /// Measures, fits and checks on what was held out.
    public func run(provenance: Provenance, progress: Progress = { _, _, _ in }) throws(InputError) -> LatencyFile {
        let settings = lengths.flatMap { CalibrationSetting.design(length: $0, heads: Self.heads(length: $0), seed: seed) }
        // Last come the crossovers, about a tenth of the whole.
        let layers = settings.reduce(0) { $0 + $1.effort * $1.rounds }
        let total = layers + layers / 9
        var done = 0
        let layer = try CalibrationLayer(rows: settings.map { $0.length * $0.heads }.max()!, dimension: headDimension, seed: seed)
        let samples = try LayerTimer(kernel: kernel).samples(settings, layer: layer) { setting in
            progress(done, total, "\(setting.length) tokens")
            done += setting.effort
        }
        progress(layers, total, "dense crossover")
        let crossovers = try DenseCrossover.Setting.allCases.map { setting throws(InputError) in
            try DenseCrossover.measure(
                setting, kernel: kernel, headDimension: headDimension, lengths: lengths.filter { $0 <= DenseCrossover.longest }, seed: seed)
        }
        let fit = LatencyFit(samples, heldOut: LatencyFit.heldOut(samples.map(\.setting), seed: seed))
        var provenance = provenance
        provenance.lengths = lengths
        return LatencyFile(provenance: provenance, headDimension: headDimension, fit: fit, crossovers: crossovers)
    }

    /// Enough heads to keep a pool busy, and few where they are long.
    static func heads(length: Int) -> Int { length > 8192 ? 2 : 4 }

    private static func denseSecondsPerPair(
        kernel: AttentionKernel, headDimension: Int, length: Int, seed: UInt64
    ) throws(InputError) -> Double {
        let setting = CalibrationSetting(kind: .dense, length: length, heads: 2, parameters: .dense)
        let timer = LayerTimer(kernel: kernel)
        let layer = try CalibrationLayer(rows: length * setting.heads, dimension: headDimension, seed: seed)
        let sample = try timer.samples([setting], layer: layer)[0]
        return sample.seconds / (Double(setting.heads * length) * Double(length + 1) / 2)
    }
}
