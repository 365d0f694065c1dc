import AttentionCore
import AttentionKernels
import HeadProfiling
import LanguageModels
import SampleAttention

/// Measures the true retained mass of a policy on the run it shapes: every layer's Q and K as they are with sparse
/// attention upstream, every query row, r_i = exp(LSE_kept(i) − LSE_all(i)).
///
/// Costs a selection and two kernel runs a layer; meant for untimed passes over a whole (unchunked) prompt.
public struct RetainedMassAudit: ForwardObserver {
    private let kernel: AttentionKernel
    private let policy: AttentionPolicy
    private let workspace = AttentionWorkspace()
    /// One distribution over query rows for each layer and head.
    public private(set) var heads: [RetainedMass] = []

    /// For one prefill.
    public init(kernel: AttentionKernel, policy: AttentionPolicy) {
        self.kernel = kernel
        self.policy = policy.begunPrefill()
    }

    /// Mean over all rows, heads and layers.
    public var mean: Double { heads.reduce(0) { $0 + $1.mean } / Double(max(1, heads.count)) }
    /// The least retained mass of any row of any head.
    public var minimum: Double { heads.map(\.minimum).least() ?? 1 }

    /// - Throws: `InputError` (`invalidData`), naming layer and head, when a number of Q, K or V is not finite, or a score might not be.
    public mutating func attended(_ attention: LayerAttention) throws {
        let (layer, inputs) = (attention.layer, attention.inputs)
        let shape = inputs.shape
        try InputError.within("layer \(layer)") { () throws(InputError) in try inputs.requireFinite(pool: kernel.pool) }
        let parameters = policy.parameters(layer: layer, queryHeads: shape.queryHeads, promptLength: shape.keyCount)
        if let parameters, parameters.allSatisfy({ $0.pattern == .dense }) {
            heads += parameters.map { _ in RetainedMass(rows: Array(repeating: 1, count: shape.queryCount)) }
            return
        }
        let rows = shape.queryHeads * shape.queryCount
        let scratch = AlignedBuffer<Float>(count: rows * shape.headDimension)
        let target = MutableHeadTensor(
            projection: scratch.base, heads: shape.queryHeads, tokens: shape.queryCount, dimension: shape.headDimension)
        let kept = AlignedBuffer<Float>(count: rows)
        let all = AlignedBuffer<Float>(count: rows)
        let call = LayerCall(inputs: inputs, layer: layer, promptLength: shape.keyCount, kernel: kernel)
        for (policy, sums) in [(policy, kept.base), (.dense, all.base)] {
            _ = try policy.attend(call, output: target, logSumExp: sums, workspace: workspace)
        }
        heads += (0..<shape.queryHeads).map { RetainedMass(head: $0, of: shape, kept: kept.base, all: all.base) }
    }
}
