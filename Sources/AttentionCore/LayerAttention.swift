/// What attention in one layer of a prefill read and gave. Views are valid only for as long as it is shown.
public struct LayerAttention: Sendable {
    public let layer: Int
    public let inputs: LayerInputs
    /// [queryHeads][queryCount][d].
    public let output: HeadTensor
    package let sums: SharedPointer<Float>?
    /// [queryHeads][queryCount], natural logarithms over the keys that were attended to; nil where nobody asked for them.
    public var logSumExp: UnsafePointer<Float>? { sums.map { UnsafePointer($0.base) } }

    public init(layer: Int, inputs: LayerInputs, output: HeadTensor) {
        self.init(layer: layer, inputs: inputs, output: output, sums: nil)
    }

    package init(layer: Int, inputs: LayerInputs, output: HeadTensor, sums: SharedPointer<Float>?) {
        self.layer = layer
        self.inputs = inputs
        self.output = output
        self.sums = sums
    }
}
