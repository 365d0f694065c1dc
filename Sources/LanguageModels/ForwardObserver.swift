import AttentionCore
import SampleAttention

/// Sees the inside of a forward pass. Views are valid during the call only.
public protocol ForwardObserver {
    /// After a layer's attention: its Q, K, V (rotated) and its output [queryHeads][queryCount][d].
    mutating func attended(layer: Int, inputs: SampleAttentionOperator.Inputs, output: HeadTensor) throws

    /// The residual stream [tokens][hidden] before layer `depth`; after the last layer `depth` is the layer count and the
    /// final norm has been applied.
    mutating func reached(depth: Int, hidden: UnsafeBufferPointer<Float>) throws
}

extension ForwardObserver {
    public mutating func attended(layer: Int, inputs: SampleAttentionOperator.Inputs, output: HeadTensor) throws {}
    public mutating func reached(depth: Int, hidden: UnsafeBufferPointer<Float>) throws {}
}

/// Sees nothing.
public struct NoObserver: ForwardObserver {
    public init() {}
}

/// Hands each layer's Q, K and V to a closure: the tap for profiles, tuning and verification.
public struct AttentionTap: ForwardObserver {
    private let body: (_ layer: Int, _ inputs: SampleAttentionOperator.Inputs, _ output: HeadTensor) throws -> Void

    public init(_ body: @escaping (_ layer: Int, _ inputs: SampleAttentionOperator.Inputs, _ output: HeadTensor) throws -> Void) {
        self.body = body
    }

    public func attended(layer: Int, inputs: SampleAttentionOperator.Inputs, output: HeadTensor) throws {
        try body(layer, inputs, output)
    }
}
