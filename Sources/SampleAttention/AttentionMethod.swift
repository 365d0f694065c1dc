import AttentionCore
import AttentionKernels
import Parallelism

/// A way to attend in one layer of a prefill: what a rival system is to a model.
///
/// SampleAttention itself is driven by parameters for each head (`SampleAttentionOperator`); everything else is a method.
public protocol AttentionMethod: Sendable {
    /// The method for one prefill, which calls it layer after layer. A method that carries something from one layer to the next returns
    /// a new one, so that prefills do not mix; all others return themselves.
    func begunPrefill() -> Self

    /// Attends, and says what it kept and what that cost.
    ///
    /// - Parameters:
    ///   - call: the layer's inputs and where they belong.
    ///   - output: [queryHeads][queryCount][d].
    ///   - logSumExp: [queryHeads][queryCount] over the pairs that were computed, natural logarithm, optional.
    /// - Throws: `InputError` (`usage`) when the method's settings do not fit the inputs.
    func attend(
        _ call: LayerCall, output: MutableHeadTensor, logSumExp: UnsafeMutablePointer<Float>?, workspace: AttentionWorkspace
    ) throws(InputError) -> AttentionReport
}

extension AttentionMethod {
    public func begunPrefill() -> Self { self }
}

/// One layer's attention, as a method is asked for it.
public struct LayerCall: Sendable {
    public let inputs: LayerInputs
    public let layer: Int
    /// The whole prompt's length: ratios of it stay the same from chunk to chunk.
    public let promptLength: Int
    public let kernel: AttentionKernel

    public init(inputs: LayerInputs, layer: Int, promptLength: Int, kernel: AttentionKernel) {
        self.inputs = inputs
        self.layer = layer
        self.promptLength = promptLength
        self.kernel = kernel
    }

    public var shape: AttentionShape { inputs.shape }
    /// The kernel's threads, idle while it is not running.
    public var pool: WorkerPool { kernel.pool }
}

/// A method that says which pairs each head keeps, and leaves the rest to the shared kernel.
public protocol PatternMethod: AttentionMethod {
    /// One pattern a query head.
    ///
    /// - Throws: `InputError` (`usage`) when the method's settings do not fit the inputs.
    func patterns(_ call: LayerCall, workspace: AttentionWorkspace) throws(InputError) -> [SparsePattern]
}

extension PatternMethod {
    public func attend(
        _ call: LayerCall, output: MutableHeadTensor, logSumExp: UnsafeMutablePointer<Float>?, workspace: AttentionWorkspace
    ) throws(InputError) -> AttentionReport {
        let start = ContinuousClock.now
        let plan = try AttentionPlan(shape: call.shape, patterns: patterns(call, workspace: workspace))
        let planned = ContinuousClock.now
        call.kernel.run(
            plan, query: call.inputs.query, key: call.inputs.key, value: call.inputs.value, output: output, logSumExp: logSumExp,
            workspace: workspace)
        return AttentionReport(
            patterns: plan.patterns, keptPairs: plan.keptPairs, causalPairs: call.shape.causalPairs,
            selectionSeconds: (planned - start).seconds, kernelSeconds: (ContinuousClock.now - planned).seconds)
    }
}
