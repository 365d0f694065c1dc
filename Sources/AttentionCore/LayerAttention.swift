/// What attention in one layer of a prefill read and gave. Views are valid only for as long as it is shown.
public struct LayerAttention: Sendable {
    public let layer: Int
    public let inputs: LayerInputs
    /// [queryHeads][queryCount][d].
    public let output: HeadTensor

    public init(layer: Int, inputs: LayerInputs, output: HeadTensor) {
        self.layer = layer
        self.inputs = inputs
        self.output = output
    }
}
