import AttentionCore

/// The extents of a decoder that decide what its prefill costs.
public struct DecoderShape: Hashable, Sendable, Codable {
    public let name: String
    public let layers, hiddenSize, queryHeads, keyValueHeads, headDimension, intermediateSize, vocabularySize: Int
    /// Of the layers that have a window of their own, which sparse attention leaves to it. Units: tokens.
    public let windows: [Int]
    /// Weights that one token passes in the feed-forwards of all layers.
    public let feedForwardWeights: Int

    /// Published configurations, by the name that `named` finds them with.
    public static let known = [
        DecoderShape(
            name: "chatglm2-6b", layers: 28, hiddenSize: 4096, queryHeads: 32, keyValueHeads: 2, headDimension: 128,
            intermediateSize: 13696, vocabularySize: 65024),
        DecoderShape(
            name: "internlm2-7b", layers: 32, hiddenSize: 4096, queryHeads: 32, keyValueHeads: 8, headDimension: 128,
            intermediateSize: 14336, vocabularySize: 92544),
        DecoderShape(
            name: "llama-3.1-8b", layers: 32, hiddenSize: 4096, queryHeads: 32, keyValueHeads: 8, headDimension: 128,
            intermediateSize: 14336, vocabularySize: 128256),
        DecoderShape(
            name: "qwen2.5-7b", layers: 28, hiddenSize: 3584, queryHeads: 28, keyValueHeads: 4, headDimension: 128,
            intermediateSize: 18944, vocabularySize: 152064),
    ]

    private init(
        name: String, layers: Int, hiddenSize: Int, queryHeads: Int, keyValueHeads: Int, headDimension: Int, intermediateSize: Int,
        vocabularySize: Int, windows: [Int] = [], feedForwardWeights: Int? = nil
    ) {
        self.name = name
        self.layers = layers
        self.hiddenSize = hiddenSize
        self.queryHeads = queryHeads
        self.keyValueHeads = keyValueHeads
        self.headDimension = headDimension
        self.intermediateSize = intermediateSize
        self.vocabularySize = vocabularySize
        self.windows = windows
        self.feedForwardWeights = feedForwardWeights ?? 3 * layers * hiddenSize * intermediateSize
    }

    /// The shape of a described decoder. Of a mixture of experts, the width is that of all experts that a token passes.
    public init(_ c: DecoderDescription, name: String) {
        self.init(
            name: name, layers: c.layerCount, hiddenSize: c.hiddenSize, queryHeads: c.queryHeads, keyValueHeads: c.keyValueHeads,
            headDimension: c.headDimension, intermediateSize: c.layers.map(\.feedForward.activeWidth).max() ?? 0,
            vocabularySize: c.vocabularySize, windows: c.layers.compactMap(\.attention.window),
            feedForwardWeights: c.layers.reduce(0) { $0 + $1.feedForward.activeWeights(hiddenSize: c.hiddenSize) })
    }

    /// Operations of projections, MLP, and the head at the last position, for a prompt of `tokens`; two a multiply-add.
    public func productOperations(tokens: Int) -> Double {
        let hidden = Double(hiddenSize)
        let heads = Double(2 * (queryHeads + keyValueHeads) * headDimension)
        let weights = hidden * heads * Double(layers) + Double(feedForwardWeights)
        return 2 * (weights * Double(tokens) + hidden * Double(vocabularySize))
    }

    /// - Throws: `InputError` (`usage`) that lists the known names.
    public static func named(_ name: String) throws(InputError) -> DecoderShape {
        guard let shape = known.first(where: { $0.name == name.lowercased() }) else {
            throw InputError(.usage, field: "shape", value: name, rule: "must be one of \(known.map(\.name).joined(separator: ", "))")
        }
        return shape
    }
}

/// What prefilling one prompt costs, full against sparse: by the simple count often quoted for the paper, and complete.
///
/// The simple count (for arXiv 2406.15486: 80,000 tokens, 2,800 kept keys a query) takes one multiply-add as one operation, scores
/// only, every query against every key, and stores the score matrix in FP32. Complete: two operations a multiply-add, scores
/// and output, causal pairs only, layers with a window of their own by that, the selection, and memory as a streaming kernel needs it (no score matrix).
public struct PrefillEstimate: Hashable, Sendable, Codable {
    public let shape: DecoderShape
    public let length: Int
    /// Keys each query keeps (fewer where it has fewer).
    public let keptKeys: Int
    public let sampleRatio: Double
    public let bytesPerElement: Int
    public let review: Review
    public let complete: Complete

    public struct Review: Hashable, Sendable, Codable {
        /// n² · d and n · k · d, one head.
        public let fullOperations, sparseOperations: Double
        /// Q, K and V of one head in FP32: 3 · n · d · 4 bytes.
        public let projectionBytes: Double
        /// n² · 4 and n · k · 4 bytes, one head.
        public let fullScoreBytes, sparseScoreBytes: Double
        /// Kept keys of one head: k · d · 4 bytes.
        public let keptKeyBytes: Double
        /// Projections and scores (sparse: kept keys and scores) times the query heads, as if heads were held at once.
        public let fullTotalBytes, sparseTotalBytes: Double
    }

    public struct Complete: Hashable, Sendable, Codable {
        /// Causal and kept pairs, one head.
        public let causalPairs, keptPairs, density: Double
        /// Scores and outputs, all heads and layers.
        public let fullAttentionOperations, sparseAttentionOperations: Double
        /// Sampled scores, all heads and layers.
        public let selectionOperations: Double
        /// Projections, MLP, and the head at the last position.
        public let linearOperations: Double
        /// Whole prefill, full over sparse with selection.
        public let prefillRatio, attentionRatio: Double
        /// Keys and values of all layers.
        public let cacheBytes: Double
        /// Q and the attention output of one layer.
        public let activationBytes: Double
        /// Column masses and gathered columns (keys and values) of one layer.
        public let selectionBytes: Double
    }

    public init(shape: DecoderShape, length: Int, keptKeys: Int, sampleRatio: Fraction, bytesPerElement: Int) {
        precondition(length > 0 && keptKeys > 0, "a prompt and a query have at least one key")
        self.shape = shape
        self.length = length
        self.keptKeys = min(keptKeys, length)
        self.sampleRatio = sampleRatio.value
        self.bytesPerElement = bytesPerElement
        review = Self.review(shape, n: Double(length), k: Double(min(keptKeys, length)))
        complete = Self.complete(
            shape, n: Double(length), k: Double(min(keptKeys, length)), sampled: sampleRatio.value, bytes: Double(bytesPerElement))
    }

    private static func review(_ shape: DecoderShape, n: Double, k: Double) -> Review {
        let d = Double(shape.headDimension)
        let heads = Double(shape.queryHeads)
        return Review(
            fullOperations: n * n * d, sparseOperations: n * k * d, projectionBytes: 3 * n * d * 4, fullScoreBytes: n * n * 4,
            sparseScoreBytes: n * k * 4, keptKeyBytes: k * d * 4, fullTotalBytes: (3 * n * d * 4 + n * n * 4) * heads,
            sparseTotalBytes: (k * d * 4 + n * k * 4) * heads)
    }

    /// Pairs of n queries that see up to so many keys each.
    private static func pairs(_ n: Double, keys: Double) -> Double { keys * n - keys * (keys - 1) / 2 }

    private static func complete(_ shape: DecoderShape, n: Double, k: Double, sampled: Double, bytes: Double) -> Complete {
        let d = Double(shape.headDimension)
        let heads = Double(shape.queryHeads)
        let keyValueHeads = Double(shape.keyValueHeads)
        let layers = Double(shape.layers)
        // Layers with a window of their own compute its pairs in both columns, and select nothing.
        let free = layers - Double(shape.windows.count)
        let windowed = shape.windows.reduce(0.0) { $0 + pairs(n, keys: min(Double($1), n)) }
        let causal = pairs(n, keys: n)
        let kept = pairs(n, keys: k)
        let full = 4 * d * (causal * free + windowed) * heads
        let sparse = 4 * d * (kept * free + windowed) * heads
        let selection = 2 * d * sampled * causal * heads * free
        let linear = shape.productOperations(tokens: Int(n))
        return Complete(
            causalPairs: causal, keptPairs: kept, density: kept / causal, fullAttentionOperations: full,
            sparseAttentionOperations: sparse, selectionOperations: selection, linearOperations: linear,
            prefillRatio: (linear + full) / (linear + sparse + selection), attentionRatio: full / (sparse + selection),
            cacheBytes: 2 * n * keyValueHeads * d * layers * bytes, activationBytes: 2 * n * heads * d * bytes,
            selectionBytes: heads * (n * 4 + 2 * k * d * bytes))
    }
}
