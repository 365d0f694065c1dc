import AttentionCore
import AttentionKernels
import ModelFormats
import Parallelism

/// Gradients at the output of one layer's attention, and what that attention read. Views are valid only for as long as it is shown.
public struct AttentionGradients: Sendable {
    public let attention: LayerAttention
    /// One for each label set, [queryHeads][tokens][d]: how much the sum of the labels' log-probabilities grows with each number that the
    /// attention gives, before its output projection.
    public let gradients: [HeadTensor]

    public var layer: Int { attention.layer }
}

/// A dense prefill of a prompt that gradients can be taken back through: from the log-probabilities of labels to the output of every
/// layer's attention. Activations only, none of weights.
///
/// ```swift
/// let trace = try GradientTrace(tokens, model: model)
/// try trace.takeBack([.text, .fisher(seed: 1)]) { layer in print(layer.layer, layer.gradients.count) }
/// ```
///
/// Memory: the residual stream before each layer and the attention's outputs, 4 · layers · tokens · (hidden + queryHeads · d) bytes; while
/// the prompt runs its keys and values too, and for the time of a pass backward one layer's activations, one more of each for a label set, and
/// the transposed weights of a part of a layer.
/// Everything else is computed again from these, layer by layer. Source: backpropagation with recomputation (arXiv 1604.06174).
public final class GradientTrace {
    public let tokens: [Int32]
    private let model: LanguageModel
    /// Before each layer and after the last: [layers + 1][tokens][hidden].
    private let streams: AlignedBuffer<Float>
    /// [layers][tokens][queryHeads · d].
    private let attended: AlignedBuffer<Float>
    /// [layers][queryHeads][tokens].
    private let logSumExps: AlignedBuffer<Float>
    /// Of all positions, by table.
    private let embeddings: [ObjectIdentifier: RotaryEmbedding]
    private let workspace = AttentionWorkspace()

    /// Copies the residual stream as it passes by.
    private struct Recorder: ForwardObserver {
        let streams: UnsafeMutablePointer<Float>
        let layers: Int

        mutating func attended(_ attention: LayerAttention) {}

        mutating func reached(depth: Int, hidden: UnsafeBufferPointer<Float>) {
            if depth < layers { (streams + depth * hidden.count).update(from: hidden.baseAddress!, count: hidden.count) }
        }

        mutating func passedLayers(hidden: UnsafeBufferPointer<Float>) {
            (streams + layers * hidden.count).update(from: hidden.baseAddress!, count: hidden.count)
        }
    }

    /// Runs the prompt with full attention, in layers with a window of their own within it.
    ///
    /// - Throws: `InputError` for an empty prompt, one past the model's positions, or when the system does not give the memory; for weights
    ///   that overflow.
    public init(_ tokens: [Int32], model: LanguageModel) throws {
        let d = model.description
        self.tokens = tokens
        self.model = model
        let purpose = "what \(tokens.count) tokens leave for gradients"
        let cache = try model.makeCache(capacity: tokens.count, format: .fp32)
        try model.checkRoom(tokens, cache: cache)
        embeddings = model.decoder.embeddings(positions: 0..<tokens.count, cache: cache, promptLength: tokens.count)
        let layers = d.layerCount
        streams = try AlignedBuffer(extents: layers + 1, tokens.count, d.hiddenSize, of: purpose)
        attended = try AlignedBuffer(extents: layers, tokens.count, d.queryHeads * d.headDimension, of: purpose)
        logSumExps = try AlignedBuffer(extents: layers, d.queryHeads, tokens.count, of: purpose)
        let hidden = try AlignedBuffer<Float>(extents: tokens.count, d.hiddenSize, of: purpose)
        let buffers = try ForwardBuffers(d, tokens: tokens.count, kernel: model.kernel)
        let floats = try FloatLayer(of: cache, rows: tokens.count)
        var recorder = Recorder(streams: streams.base, layers: layers)
        let (outputs, sums) = (attended.base, logSumExps.base)
        try cache.exclusively { () throws in
            try model.decoder.forward(
                tokens[...], cache: cache, promptLength: tokens.count, buffers: buffers, hidden: hidden.base, observer: &recorder
            ) { [workspace] layer, query, output, _ in
                let (keys, values) = floats.keysAndValues(layer: layer, rows: query.tokens, kernel: model.kernel)
                let inputs = LayerInputs(query: query, key: keys, value: values, scores: model.decoder.scoreRules[layer])
                let window = Self.window(d, layer: layer, tokens: query.tokens)
                let pattern = window.map { SparsePattern.windowColumns(WindowColumns(window: $0, columns: [])) } ?? .dense
                let plan = try AttentionPlan(shape: inputs.shape, patterns: Array(repeating: pattern, count: d.queryHeads))
                model.kernel.run(
                    plan, query: query, key: keys, value: values, output: output,
                    logSumExp: sums + layer * d.queryHeads * query.tokens, workspace: workspace)
                let rowFloats = d.queryHeads * d.headDimension
                (outputs + layer * query.tokens * rowFloats).update(from: output.readOnly.base, count: query.tokens * rowFloats)
            }
        }
        try model.checkFinite(hidden.elements[...], firstToken: 0)
    }

    private static func window(_ d: DecoderDescription, layer: Int, tokens: Int) -> Int? {
        d.layers[layer].attention.window.map { min($0, tokens) }
    }

    /// One pass backward for all label sets together.
    ///
    /// - Parameters:
    ///   - firstLayer: the last one that is shown; what lies before it is not computed.
    ///   - body: called for each layer, from the last to `firstLayer`.
    /// - Throws: `InputError` (`usage`) for labels that do not fit, (`invalidData`) where a score or a gradient is not finite, (`systemFailure`)
    ///   when the system does not give the memory; what `body` throws.
    /// Complexity: about one forward pass, and for each label set the products of one more and two and a half times its attention.
    public func takeBack(
        _ labels: [GradientLabels], downTo firstLayer: Int = 0, _ body: (AttentionGradients) throws -> Void
    ) throws {
        let d = model.description
        precondition((0..<d.layerCount).contains(firstLayer), "a pass backward ends at a layer")
        guard !labels.isEmpty else { return }
        let count = tokens.count
        let purpose = "gradients of \(count) tokens"
        let stream = try AlignedBuffer<Float>(extents: labels.count, count, d.hiddenSize, of: purpose)
        let gradients = labels.indices.map { SharedPointer(stream.base + $0 * count * d.hiddenSize) }
        try HeadBackward(model: model, tokens: tokens, stream: streams.base + d.layerCount * count * d.hiddenSize)
            .run(labels, into: gradients)
        let buffers = try BackwardBuffers(d, tokens: count, labels: labels.count, kernel: model.kernel)
        for layer in (firstLayer..<d.layerCount).reversed() {
            let rotary = model.decoder.rotary[layer].flatMap { embeddings[ObjectIdentifier($0)] }
            try takeBack(layer, isLast: layer == firstLayer, gradients: gradients, buffers: buffers, rotary: rotary, body)
        }
    }

    private func takeBack(
        _ layer: Int, isLast: Bool, gradients: [SharedPointer<Float>], buffers: BackwardBuffers, rotary: RotaryEmbedding?,
        _ body: (AttentionGradients) throws -> Void
    ) throws {
        let d = model.description
        let (count, rowFloats) = (tokens.count, d.queryHeads * d.headDimension)
        let weights = model.decoder.weights.layers[layer]
        let own = LayerBackward(
            decoder: model.decoder, layer: layer, buffers: buffers,
            stream: streams.base + layer * count * d.hiddenSize, attended: attended.base + layer * count * rowFloats, gradients: gradients)
        own.branches(try TransposedBranches(weights, kernel: model.kernel))
        own.attentionInputs(rotary)
        func heads(_ base: UnsafePointer<Float>, _ heads: Int) -> HeadTensor {
            HeadTensor(projection: base, heads: heads, tokens: count, dimension: d.headDimension)
        }
        let (keys, values) = (heads(buffers.keys.base, d.keyValueHeads), heads(buffers.values.base, d.keyValueHeads))
        let inputs = LayerInputs(
            query: heads(buffers.queries.base, d.queryHeads), key: keys, value: values, scores: model.decoder.scoreRules[layer])
        let output = heads(attended.base + layer * count * rowFloats, d.queryHeads)
        let shown = gradients.indices.map { heads(buffers.attended.base + $0 * count * rowFloats, d.queryHeads) }
        try checkFinite(layer, buffers: buffers, labels: gradients.count)
        let sums = logSumExps.base + layer * d.queryHeads * count
        let attention = LayerAttention(layer: layer, inputs: inputs, output: output, sums: SharedPointer(sums))
        try body(AttentionGradients(attention: attention, gradients: shown))
        if isLast { return }
        let projections = try TransposedInputs(weights, kernel: model.kernel)
        func written(_ base: UnsafeMutablePointer<Float>, _ heads: Int) -> MutableHeadTensor {
            MutableHeadTensor(projection: base, heads: heads, tokens: count, dimension: d.headDimension)
        }
        for label in gradients.indices {
            try model.kernel.attentionGradient(
                inputs.shape, window: Self.window(d, layer: layer, tokens: count), query: inputs.query, key: keys, value: values,
                output: output, logSumExp: UnsafePointer(sums), outputGradient: shown[label],
                into: (
                    written(buffers.query.base, d.queryHeads), written(buffers.key.base, d.keyValueHeads),
                    written(buffers.value.base, d.keyValueHeads)
                ), workspace: workspace)
            own.projections(label, inputs: projections, rotary: rotary)
        }
    }

    private func checkFinite(_ layer: Int, buffers: BackwardBuffers, labels: Int) throws(InputError) {
        let rowFloats = model.description.queryHeads * model.description.headDimension
        let base = SharedPointer(buffers.attended.base)
        let areFinite = model.kernel.pool.map(labels * tokens.count) { row in
            UnsafeBufferPointer(start: base.base + row * rowFloats, count: rowFloats).areFinite
        }
        guard let row = areFinite.firstIndex(of: false) else { return }
        let own = UnsafeBufferPointer(start: base.base + row * rowFloats, count: rowFloats)
        throw model.unusable("gradient of layer \(layer) at token \(row % tokens.count)", own.first { !$0.isFinite }!)
    }
}
