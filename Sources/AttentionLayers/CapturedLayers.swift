import AttentionCore
import AttentionKernels
import Foundation
import ModelFormats
import RunProvenance

/// The layers of one prompt, read from a safetensors file: `layers.N.query` [tokens][queryHeads][d], `layers.N.key` and `layers.N.value`
/// [tokens][keyValueHeads][d], for any layers N; F32, F16 or BF16, rotated, not scaled, so that attention is softmax(Q Kᵀ / √d) V.
/// `layers.N.sinks` [queryHeads] and the metadata's `softCap` are there for layers with sink logits and capped scores: see `ScoreRule`.
///
/// `LayerCapture` writes such files, and so can any program that runs a model. The file's metadata may say which model and text they are
/// of (`model`, `text`, `textSHA256`); where it does not, the file itself stands for both.
public struct CapturedLayers: LayerSource {
    public let kernel: AttentionKernel
    public let layers: [Int]
    public let tokens: Int
    /// The model, as far as the file knows it.
    public let model: ModelIdentity
    public let text: Provenance.Text
    private let file: SafetensorsFile
    private let shape: AttentionShape
    /// Of each layer.
    private let rules: [Int: ScoreRule]

    public var queryHeads: Int { shape.queryHeads }
    public var path: String { file.path }

    /// Opens and checks a file; numbers are read when a layer is shown.
    ///
    /// - Throws: `InputError`: as `SafetensorsFile`; `invalidData` for a tensor that is of no layer, missing or of another shape.
    public init(_ path: String, kernel: AttentionKernel) throws(InputError) {
        let file = try SafetensorsFile(path)
        let layers = try CapturedTensor.layers(of: file)
        let shape = try CapturedTensor.shape(of: file, layers: layers)
        let identities = try CaptureMetadata(file, layers: layers, shape: shape)
        var rules: [Int: ScoreRule] = [:]
        for layer in layers {
            rules[layer] = try CapturedTensor.rule(
                of: file, layer: layer, queryHeads: shape.queryHeads, softCap: identities.softCap)
        }
        (self.file, self.layers, self.shape, self.kernel, self.rules) = (file, layers, shape, kernel, rules)
        tokens = shape.keyCount
        (model, text) = (identities.model, identities.text)
    }

    /// Full attention is computed here, by the kernel.
    public func forEachLayer(_ body: (LayerAttention) throws -> Void) throws {
        let workspace = AttentionWorkspace()
        let query = try buffer(.query), key = try buffer(.key), value = try buffer(.value), output = try buffer(.query)
        let attended = MutableHeadTensor(
            projection: output.base, heads: shape.queryHeads, tokens: tokens, dimension: shape.headDimension)
        let sums = try AlignedBuffer<Float>(extents: shape.queryHeads, tokens, of: "log-sum-exp of \(tokens) rows")
        for layer in layers {
            let inputs = LayerInputs(
                query: try read(.query, of: layer, into: query), key: try read(.key, of: layer, into: key),
                value: try read(.value, of: layer, into: value), scores: rules[layer]!)
            kernel.run(
                try AttentionPlan(shape: inputs.shape, patterns: Array(repeating: .dense, count: shape.queryHeads)), query: inputs.query,
                key: inputs.key, value: inputs.value, output: attended, logSumExp: sums.base, workspace: workspace)
            try body(
                LayerAttention(layer: layer, inputs: inputs, output: attended.readOnly, sums: SharedPointer(sums.base)))
        }
    }

    private func buffer(_ tensor: CapturedTensor) throws(InputError) -> AlignedBuffer<Float> {
        try AlignedBuffer(
            extents: tokens, tensor.heads(shape), shape.headDimension, of: "queries, keys and values of \(tokens) tokens")
    }

    private func read(
        _ tensor: CapturedTensor, of layer: Int, into buffer: borrowing AlignedBuffer<Float>
    ) throws(InputError) -> HeadTensor {
        let heads = tensor.heads(shape)
        try file.read(tensor.name(layer: layer), shape: [tokens, heads, shape.headDimension], into: buffer.base)
        return HeadTensor(projection: buffer.base, heads: heads, tokens: tokens, dimension: shape.headDimension)
    }
}
