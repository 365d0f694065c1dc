import AttentionCore
import AttentionKernels
import HeadProfiling
import LinearAlgebra
import SampleAttention

/// Tries parameters on every head of a layer, on its real Q, K and V, with the real selection and kernel.
///
/// The retained mass of a candidate is exact for every query row: r_i = exp(LSE_kept(i) − LSE_all(i)), from two kernel runs
/// and no stored probabilities. Candidates: `SampleAttentionParameters.standard` first, then a seeded Sobol sequence for each head.
public struct HeadTuner: Sendable {
    public let sampleAttention: SampleAttentionOperator
    public let space: SearchSpace
    public let seed: UInt64

    public init(kernel: AttentionKernel, space: SearchSpace, seed: UInt64) {
        sampleAttention = SampleAttentionOperator(kernel: kernel)
        self.space = space
        self.seed = seed
    }

    /// The candidates of one head, in order; the same seed gives the same list, whatever else is tuned.
    public func candidates(length: Int, layer: Int, head: Int, count: Int) -> [SampleAttentionParameters] {
        var generator = SeededGenerator.derived(seed: seed, length, layer, head)
        let sequence = QuasiRandomSequence(dimensions: SearchSpace.dimensions, seed: generator.next())
        return [.standard] + (1..<max(1, count)).map { _ in space.parameters(at: sequence.next(), length: length) }
    }

    /// Runs trials `done ..< count` of every head of a layer.
    ///
    /// - Parameters:
    ///   - done: trials already in the journal for this layer; they are not repeated.
    ///   - record: gets each trial number's results, one a head, as soon as they are measured; may throw to stop.
    public func tune(
        layer: Int, inputs: SampleAttentionOperator.Inputs, count: Int, done: Int, workspace: AttentionWorkspace,
        record: ([FrozenTrial]) throws -> Void
    ) throws {
        let shape = inputs.shape
        let length = shape.keyCount
        let outputs = AlignedBuffer<Float>(count: shape.queryCount * shape.queryHeads * shape.headDimension)
        let output = MutableHeadTensor(
            projection: outputs.base, heads: shape.queryHeads, tokens: shape.queryCount, dimension: shape.headDimension)
        let all = AlignedBuffer<Float>(count: shape.queryHeads * shape.queryCount)
        let kept = AlignedBuffer<Float>(count: shape.queryHeads * shape.queryCount)
        let candidates = (0..<shape.queryHeads).map { self.candidates(length: length, layer: layer, head: $0, count: count) }
        guard done < count else { return }
        _ = try sampleAttention.attend(
            inputs, parameters: Array(repeating: .dense, count: shape.queryHeads), promptLength: length, output: output,
            logSumExp: all.base, workspace: workspace)
        for number in done..<count {
            let parameters = candidates.map { $0[number] }
            let report = try sampleAttention.attend(
                inputs, parameters: parameters, promptLength: length, output: output, logSumExp: kept.base, workspace: workspace)
            try record(
                parameters.indices.map { head in
                    let mass = RetainedMass(head: head, of: shape, kept: kept.base, all: all.base)
                    return FrozenTrial(
                        length: length, layer: layer, head: head, number: number, parameters: parameters[head],
                        measured: .init(
                            meanMass: mass.mean, p1Mass: mass.p1, minMass: mass.minimum,
                            density: Double(report.keptPairs[head]) / Double(report.causalPairs)))
                })
        }
    }
}
