import AttentionCore
import AttentionKernels
import HeadProfiling
import Parallelism
import SampleAttention

/// Measures candidates on every head of one layer: real Q, K and V, real selection, real kernel, every query row.
///
/// Retained mass is r_i = exp(LSE_kept(i) − LSE_all(i)); the output error is Σ_i ‖o_i − ô_i‖₂² / Σ_i ‖o_i‖₂². Stage 1 runs once for
/// all candidates of a head that score the same rows by the same rule, whatever their α and sinks, and once for
/// all counts of key blocks beside one window. Not for two tasks at once.
public final class HeadMeter {
    /// What one candidate keeps and spoils of one head.
    public struct Measurement: Sendable {
        public let mass: RetainedMass
        /// Kept over causal pairs.
        public let density: Double
        public let outputError: Double
        /// What the selection came to.
        public let pattern: SparsePattern
    }

    private let inputs: LayerInputs
    private let sampleAttention: SampleAttentionOperator
    private let workspace: AttentionWorkspace
    private let sparse, keptSums: AlignedBuffer<Float>
    /// [queryHeads][queryCount], over all keys; `ownSums` holds them where the layer came without.
    private let allSums: SharedPointer<Float>
    private let ownSums: AlignedBuffer<Float>
    private let dense: HeadTensor
    /// Σ_i ‖o_i‖₂² of each head.
    private var energies: [Double] = []
    private var stageOne: [StageOneKey: StageOneResult] = [:]

    /// What stage 1 depends on.
    private struct StageOneKey: Hashable {
        let head: Int
        let rule: SampleAttentionParameters
    }

    private var shape: AttentionShape { inputs.shape }
    private var kernel: AttentionKernel { sampleAttention.kernel }

    /// Runs full attention once more for the sums of all keys, where the layer does not bring them.
    ///
    /// - Parameters:
    ///   - attention: the layer under full attention; must outlive the meter.
    /// - Throws: `InputError` (`invalidData`), naming layer and head, when a number of Q, K or V is not finite, or a score might not be:
    ///   no trial of such a head has a mass or an error.
    /// Memory: one output and two rows of sums a head.
    public init(_ attention: LayerAttention, kernel: AttentionKernel, workspace: AttentionWorkspace) throws(InputError) {
        let inputs = attention.inputs
        try InputError.within("layer \(attention.layer)") { () throws(InputError) in try inputs.requireFinite(pool: kernel.pool) }
        self.inputs = inputs
        dense = attention.output
        self.workspace = workspace
        sampleAttention = SampleAttentionOperator(kernel: kernel)
        let rows = inputs.shape.queryHeads * inputs.shape.queryCount
        sparse = AlignedBuffer(count: rows * inputs.shape.headDimension)
        keptSums = AlignedBuffer(count: rows)
        ownSums = AlignedBuffer(count: attention.sums == nil ? rows : 0)
        allSums = attention.sums ?? SharedPointer(ownSums.base)
        if attention.sums == nil { _ = try attend(Array(repeating: .dense, count: inputs.shape.queryHeads), sums: ownSums.base) }
        energies = squaredDistances(to: nil)
    }

    /// Measures one candidate on each query head.
    ///
    /// - Returns: one entry a query head, in order.
    /// - Throws: `InputError` (`usage`) when `parameters` does not have one entry a query head.
    public func measure(_ parameters: [SampleAttentionParameters]) throws(InputError) -> [Measurement] {
        let report = try attend(parameters, sums: keptSums.base)
        let (kept, all) = (SharedPointer(keptSums.base), allSums)
        let errors = squaredDistances(to: output.readOnly)
        return kernel.pool.map(parameters.count) { [shape, energies] head in
            Measurement(
                mass: RetainedMass(head: head, of: shape, kept: kept.base, all: all.base),
                density: Double(report.keptPairs[head]) / Double(report.causalPairs),
                outputError: errors[head] / max(energies[head], .leastNormalMagnitude), pattern: report.patterns[head])
        }
    }

    /// A gradient against what the last candidates changed, ΔO_i = ô_i − o_i in row i.
    public struct GradientProduct: Sendable {
        /// Σ_i g_i · ΔO_i: how the scalar changes, to first order.
        public let sum: Double
        /// Σ_i (g_i · ΔO_i)²: the same of each row by itself. Over random roots of the Fisher information its half is the KL divergence that the change causes, for
        /// what different rows share vanishes in the mean.
        public let squares: Double
    }

    /// Gradients at the output of full attention against the changes of the candidates measured last.
    ///
    /// - Parameter gradients: [queryHeads][queryCount][d] each.
    /// - Returns: one list a query head, of an entry a gradient.
    public func products(with gradients: [HeadTensor]) -> [[GradientProduct]] {
        let sparse = output.readOnly
        let pieces = Self.pieces(shape)
        let sums = kernel.pool.map(shape.queryHeads * pieces.count) { [shape, dense] index in
            let (head, rows) = (index / pieces.count, pieces[index % pieces.count])
            return gradients.map { gradient in
                var (sum, squares) = (0.0, 0.0)
                for token in rows {
                    let product = Self.product(
                        gradient.row(head: head, token: token), sparse.row(head: head, token: token), dense.row(head: head, token: token),
                        count: shape.headDimension)
                    sum += product
                    squares += product * product
                }
                return GradientProduct(sum: sum, squares: squares)
            }
        }
        return (0..<shape.queryHeads).map { head in
            let own = sums[head * pieces.count..<(head + 1) * pieces.count]
            return gradients.indices.map { index in
                GradientProduct(
                    sum: own.reduce(0) { $0 + $1[index].sum }, squares: own.reduce(0) { $0 + $1[index].squares })
            }
        }
    }

    /// g · (a − b).
    private static func product(
        _ g: UnsafePointer<Float>, _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, count: Int
    ) -> Double {
        typealias Lanes = SIMD8<Float>
        func lanes(_ x: UnsafePointer<Float>, _ start: Int) -> Lanes { UnsafeRawPointer(x + start).loadUnaligned(as: Lanes.self) }
        var sums = Lanes.zero
        let whole = count / Lanes.scalarCount * Lanes.scalarCount
        for start in stride(from: 0, to: whole, by: Lanes.scalarCount) { sums += lanes(g, start) * (lanes(a, start) - lanes(b, start)) }
        var sum = sums.sum()
        for index in whole..<count { sum += g[index] * (a[index] - b[index]) }
        return Double(sum)
    }

    /// Pieces of rows whose number depends on nothing but the shape, or sums over them would depend on the threads.
    private static func pieces(_ shape: AttentionShape) -> [Range<Int>] {
        stride(from: 0, to: shape.queryCount, by: 512).map { $0..<min($0 + 512, shape.queryCount) }
    }

    private var output: MutableHeadTensor {
        MutableHeadTensor(projection: sparse.base, heads: shape.queryHeads, tokens: shape.queryCount, dimension: shape.headDimension)
    }

    private func attend(
        _ parameters: [SampleAttentionParameters], sums: UnsafeMutablePointer<Float>
    ) throws(InputError) -> AttentionReport {
        try sampleAttention.attend(
            inputs, parameters: parameters, promptLength: shape.keyCount, output: output, logSumExp: sums, workspace: workspace
        ) { sampled(parameters) }
    }

    /// Stage 1 of each head, from earlier candidates where it is the same.
    private func sampled(_ parameters: [SampleAttentionParameters]) -> [StageOneResult] {
        let keys = parameters.enumerated().map { StageOneKey(head: $0, rule: $1.stageOneRule) }
        let missing = keys.contains { stageOne[$0] == nil }
        if missing {
            // Heads that are known already sample nothing.
            let asked = zip(keys, parameters).map { stageOne[$0] == nil ? $1 : .dense }
            let fresh = sampleAttention.sample(inputs, parameters: asked, promptLength: shape.keyCount, workspace: workspace)
            for (key, mass) in zip(keys, fresh) where stageOne[key] == nil { stageOne[key] = mass }
        }
        return keys.map { stageOne[$0]! }
    }

    /// Σ_i ‖o_i − ô_i‖₂² of each head, Σ_i ‖o_i‖₂² where there is no other output.
    private func squaredDistances(to other: HeadTensor?) -> [Double] {
        let pieces = Self.pieces(shape)
        let sums = kernel.pool.map(shape.queryHeads * pieces.count) { [shape, dense] index in
            let (head, rows) = (index / pieces.count, pieces[index % pieces.count])
            return rows.reduce(0.0) { sum, token in
                sum
                    + Self.squaredDistance(
                        dense.row(head: head, token: token), other?.row(head: head, token: token), count: shape.headDimension)
            }
        }
        return (0..<shape.queryHeads).map { sums[$0 * pieces.count..<($0 + 1) * pieces.count].reduce(0, +) }
    }

    private static func squaredDistance(_ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>?, count: Int) -> Double {
        typealias Lanes = SIMD8<Float>
        var sums = Lanes.zero
        let whole = count / Lanes.scalarCount * Lanes.scalarCount
        for start in stride(from: 0, to: whole, by: Lanes.scalarCount) {
            var distance = UnsafeRawPointer(a + start).loadUnaligned(as: Lanes.self)
            if let b { distance -= UnsafeRawPointer(b + start).loadUnaligned(as: Lanes.self) }
            sums += distance * distance
        }
        var sum = sums.sum()
        for index in whole..<count {
            let distance = a[index] - (b?[index] ?? 0)
            sum += distance * distance
        }
        return Double(sum)
    }
}
