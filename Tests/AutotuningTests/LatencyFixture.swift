import AttentionCore
import AttentionKernels
import Autotuning
import RunProvenance
import SampleAttention

/// Machines, layers and files that are made up.
enum LatencyFixture {
    /// A machine that is not this one.
    static func provenance(
        cpu: String = "Some CPU @ 3 GHz", isa: String = "avx2", threads: Int = 8, precision: Precision = .bf16, version: String = "1.2.3",
        commit: String = "abc"
    ) -> Provenance {
        Provenance(
            tool: .init(version: version, commit: commit),
            machine: .init(cpu: cpu, instructionSet: isa, threads: threads, precision: precision), seed: 1, texts: [], lengths: [512],
            date: "2026-01-01T00:00:00Z")
    }

    /// Layers whose times are exactly what some coefficients say, times some noise.
    static func samples(_ cost: [HeadWork.Term: Double], noise: Double = 0, seed: UInt64 = 1) throws -> [LatencySample] {
        var random = SeededGenerator(seed: seed)
        return [512, 1024, 2048].flatMap { CalibrationSetting.design(length: $0, heads: 4, seed: seed) }.map { setting in
            let shape = AttentionShape(
                queryHeads: 4, keyValueHeads: 2, queryCount: setting.length, keyCount: setting.length, headDimension: 64)
            let columns = (0..<Int32(random.uniform() * 200)).map { $0 * 2 }
            let pattern: SparsePattern =
                switch setting.kind {
                case .dense: .dense
                case .lines: .columnsSlashes(ColumnsSlashes(columns: [0, 2], slashes: [0, 1]))
                default: .windowColumns(WindowColumns(window: 100, columns: columns))
                }
            let work = HeadWork(
                setting.kind == .window ? nil : setting.parameters, pattern: pattern, shape: shape,
                certifiedRows: setting.kind == .certified ? 256 : 0)
            let seconds = cost.reduce(0) { $0 + $1.value * work[$1.key] }
            return LatencySample(setting: setting, work: work, seconds: seconds * (1 + noise * (2 * random.uniform() - 1)))
        }
    }

    static let costs: [HeadWork.Term: Double] = [
        .heads: 2e-5, .laneBlocks: 1e-6, .densePairs: 1e-9, .windowPairs: 1.2e-9, .columnPairs: 1.3e-9, .blockPairs: 1.1e-9,
        .sampledPairs: 0.6e-9, .candidates: 3e-9, .certifiedPairs: 0.8e-9, .quantizedPairs: 0.1e-9, .quantizedProducts: 4e-12,
    ]

    static func file(_ provenance: Provenance = provenance(), headDimension: Int = 64, noise: Double = 0) throws -> LatencyFile {
        let samples = try samples(costs, noise: noise)
        return LatencyFile(
            provenance: provenance, headDimension: headDimension,
            fit: LatencyFit(samples, heldOut: LatencyFit.heldOut(samples.map(\.setting), seed: 1)),
            crossovers: [DenseCrossover(setting: "window", lengths: [512], denseSeconds: [2], sparseSeconds: [1])])
    }
}
