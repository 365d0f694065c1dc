import AttentionCore
import AttentionKernels
import ModelFormats

/// A decoder's weights: matrices packed for the kernel that multiplies them, the embedding's rows where they stand in the files.
struct DecoderWeights: Sendable {
    struct Projection: Sendable {
        let matrix: PackedMatrix
        let bias: WeightVector?

        var inputs: Int { matrix.inputs }
        var outputs: Int { matrix.outputs }
    }

    struct Gated: Sendable {
        let gate, up, down: Projection
    }

    enum FeedForward: Sendable {
        case gated(Gated)
        case plain(up: Projection, down: Projection)
        case experts(router: Projection, [Gated])
    }

    struct Layer: Sendable {
        let normBeforeAttention, normAfterAttention, normBeforeFeedForward, normAfterFeedForward: WeightVector?
        let query, key, value, output: Projection
        let queryNorm, keyNorm: WeightVector?
        /// One a query head.
        let sinks: [Float]?
        let feedForward: FeedForward
    }

    let layers: [Layer]
    let finalNorm: WeightVector
    /// The file's own head where it has one, else the embedding's own values when they are tied.
    let head: PackedMatrix
    /// Where the tensors come from.
    let names: TensorNames
    private let archive: any TensorArchive

    /// - Parameter progress: called with the share of the weights that are loaded, 0 to 1.
    /// - Throws: `InputError` when a tensor is missing, has another shape or holds a value that is not finite, or the system does not give
    ///   the memory.
    init(
        _ archive: any TensorArchive, names: TensorNames, description d: DecoderDescription, kernel: AttentionKernel,
        progress: (Double) -> Void
    ) throws(InputError) {
        self.names = names
        self.archive = archive
        let loader = WeightLoader(archive: archive, names: names, kernel: kernel)
        let tensors = d.layers.indices.map { names.tensors.layer($0).withHalves(d, d.layers[$0].attention.rotary) }
        let head = TensorSlice(names.hasHead ? names.tensors.head : names.tensors.embedding, [d.vocabularySize, d.hiddenSize])
        let embedding = TensorSlice(names.tensors.embedding, [d.vocabularySize, d.hiddenSize])
        let finalNorm = TensorSlice(names.tensors.finalNorm, [d.hiddenSize])
        // Before any memory is taken: sizes from a lying config.json can be terabytes.
        try loader.check([embedding, finalNorm, head])
        for layer in tensors { try loader.check(layer.slices) }
        var layers: [Layer] = []
        for (index, own) in tensors.enumerated() {
            progress(Double(index) / Double(d.layerCount + 1))
            layers.append(try Self.layer(own, d, loader))
        }
        self.layers = layers
        progress(Double(d.layerCount) / Double(d.layerCount + 1))
        self.finalNorm = try loader.vector(finalNorm, offset: d.norm.weightOffset)
        self.head = try loader.matrix(head, outputs: d.vocabularySize, inputs: d.hiddenSize)
        progress(1)
    }

    private static func layer(_ own: LayerTensors, _ d: DecoderDescription, _ loader: WeightLoader) throws(InputError) -> Layer {
        func norm(_ slice: TensorSlice?) throws(InputError) -> WeightVector? {
            guard let slice else { return nil }
            return try loader.vector(slice, offset: d.norm.weightOffset)
        }
        let (queries, keyValues) = (d.queryHeads * d.headDimension, d.keyValueHeads * d.headDimension)
        let sinks = try own.sinks.map { slice throws(InputError) in try loader.vector(slice) }
        return Layer(
            normBeforeAttention: try norm(own.normBeforeAttention), normAfterAttention: try norm(own.normAfterAttention),
            normBeforeFeedForward: try norm(own.normBeforeFeedForward), normAfterFeedForward: try norm(own.normAfterFeedForward),
            query: try loader.projection(own.query, outputs: queries, inputs: d.hiddenSize),
            key: try loader.projection(own.key, outputs: keyValues, inputs: d.hiddenSize),
            value: try loader.projection(own.value, outputs: keyValues, inputs: d.hiddenSize),
            output: try loader.projection(own.output, outputs: d.hiddenSize, inputs: queries),
            queryNorm: try norm(own.queryNorm), keyNorm: try norm(own.keyNorm),
            sinks: sinks.map { sinks in (0..<sinks.count).map { sinks.base[$0] } },
            feedForward: try feedForward(own.feedForward, d, loader))
    }

    private static func feedForward(
        _ tensors: FeedForwardTensors, _ d: DecoderDescription, _ loader: WeightLoader
    ) throws(InputError) -> FeedForward {
        func gated(_ own: GatedTensors, _ width: Int) throws(InputError) -> Gated {
            Gated(
                gate: try loader.projection(own.gate, outputs: width, inputs: d.hiddenSize),
                up: try loader.projection(own.up, outputs: width, inputs: d.hiddenSize),
                down: try loader.projection(own.down, outputs: d.hiddenSize, inputs: width))
        }
        switch tensors {
        case .gated(let own): return .gated(try gated(own, own.width))
        case .plain(let up, let down):
            let width = up.weight.shape[0]
            return .plain(
                up: try loader.projection(up, outputs: width, inputs: d.hiddenSize),
                down: try loader.projection(down, outputs: d.hiddenSize, inputs: width))
        case .experts(let router, let experts):
            var loaded: [Gated] = []
            for expert in experts { loaded.append(try gated(expert, expert.width)) }
            return .experts(router: try loader.projection(router, outputs: experts.count, inputs: d.hiddenSize), loaded)
        }
    }

    /// Reads a token's embedding from the files.
    ///
    /// - Throws: `InputError` when it holds a value that is not finite.
    func readEmbedding(_ token: Int32, into row: UnsafeMutablePointer<Float>) throws(InputError) {
        try archive.read(names.own(names.tensors.embedding), rows: Int(token)..<Int(token) + 1, into: row)
    }
}

extension WeightLoader {
    /// - Throws: as `matrix`.
    func projection(_ own: ProjectionTensors, outputs: Int, inputs: Int) throws(InputError) -> DecoderWeights.Projection {
        DecoderWeights.Projection(
            matrix: try matrix(own.weight, outputs: outputs, inputs: inputs),
            bias: try own.bias.map { bias throws(InputError) in try vector(bias) })
    }
}
