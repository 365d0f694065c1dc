/// What attention in one layer of a prefill read and gave. Views are valid only for as long as it is shown.
public struct LayerAttention: Sendable {
    public let layer: Int
    public let inputs: LayerInputs
    /// [queryHeads][queryCount][d].
    public let output: HeadTensor
    /// [queryHeads][queryCount], natural logarithms over the keys that were attended to; nil where nobody asked for them.
    package let logSumExp: SharedPointer<Float>?

    public init(layer: Int, inputs: LayerInputs, output: HeadTensor) {
        self.init(layer: layer, inputs: inputs, output: output, logSumExp: nil)
    }

    package init(layer: Int, inputs: LayerInputs, output: HeadTensor, logSumExp: SharedPointer<Float>?) {
        self.layer = layer
        self.inputs = inputs
        self.output = output
        self.logSumExp = logSumExp
    }
}
