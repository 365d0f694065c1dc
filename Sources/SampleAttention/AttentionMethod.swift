import AttentionCore
import AttentionKernels
import Parallelism

/// A way to attend in one layer of a prefill: SampleAttention with parameters for each head (`ParameterMethod`), or a rival.
public protocol AttentionMethod: Sendable {
    /// The method for one prefill, which calls it layer after layer. A method that carries something from one layer to the next returns
    /// a new one, so that prefills do not mix; all others return themselves.
    func begunPrefill() -> Self

    /// True when `attend` can certify what heads retain: what they keep is a pattern that is settled before rows are drawn.
    var canCertify: Bool { get }

    /// Attends, and says what it kept and what that cost.
    ///
    /// - Parameters:
    ///   - call: the layer's inputs and where they belong.
    ///   - output: [queryHeads][queryCount][d].
    ///   - logSumExp: [queryHeads][queryCount] over the pairs that were computed, natural logarithm, optional.
    ///   - certification: asks for a certificate of each head, and maybe for a least retained mass; nil costs nothing, and is all that
    ///     a method may be asked for that cannot certify.
    /// - Throws: `InputError`: `usage` when the method's settings do not fit the inputs; `invalidData` when certificates are asked for and a
    ///   number of Q, K or V is not finite, or a score might not be.
    func attend(
        _ call: LayerCall, output: MutableHeadTensor, logSumExp: UnsafeMutablePointer<Float>?, certification: Certification?,
        workspace: AttentionWorkspace
    ) throws(InputError) -> AttentionReport
}

extension AttentionMethod {
    public func begunPrefill() -> Self { self }

    /// The same without certificates.
    public func attend(
        _ call: LayerCall, output: MutableHeadTensor, logSumExp: UnsafeMutablePointer<Float>? = nil, workspace: AttentionWorkspace
    ) throws(InputError) -> AttentionReport {
        try attend(call, output: output, logSumExp: logSumExp, certification: nil, workspace: workspace)
    }
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
    public var canCertify: Bool { true }

    public func attend(
        _ call: LayerCall, output: MutableHeadTensor, logSumExp: UnsafeMutablePointer<Float>?, certification: Certification?,
        workspace: AttentionWorkspace
    ) throws(InputError) -> AttentionReport {
        try SelectedAttention(inputs: call.inputs, kernel: call.kernel, certification: certification, workspace: workspace).attend(
            output: output, logSumExp: logSumExp,
            select: { () throws(InputError) in try patterns(call, workspace: workspace).map { SelectedHead(pattern: $0) } })
    }
}

/// SampleAttention with parameters for each query head, by layer and prompt length.
public struct ParameterMethod: AttentionMethod {
    /// One set of parameters a query head.
    public let parameters: @Sendable (_ layer: Int, _ queryHeads: Int, _ promptLength: Int) -> [SampleAttentionParameters]

    public init(
        _ parameters: @escaping @Sendable (_ layer: Int, _ queryHeads: Int, _ promptLength: Int) -> [SampleAttentionParameters]
    ) {
        self.parameters = parameters
    }

    public var canCertify: Bool { true }

    public func attend(
        _ call: LayerCall, output: MutableHeadTensor, logSumExp: UnsafeMutablePointer<Float>?, certification: Certification?,
        workspace: AttentionWorkspace
    ) throws(InputError) -> AttentionReport {
        try SampleAttentionOperator(kernel: call.kernel).attend(
            call.inputs, parameters: parameters(call.layer, call.shape.queryHeads, call.promptLength), promptLength: call.promptLength,
            output: output, logSumExp: logSumExp, certification: certification, workspace: workspace)
    }
}
