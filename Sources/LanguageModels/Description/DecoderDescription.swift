import ModelFormats

/// What a decoder-only language model computes, as data: one decoder runs every description.
///
/// A model family (`ModelFamily`) makes it from a `config.json`. With x the residual stream [tokens][hiddenSize]:
/// x = embedding · `embeddingScale`; each layer adds to x as its own description says; scores = head(norm(x)).
public struct DecoderDescription: Hashable, Sendable {
    /// `model_type`, such as "llama"; of a model with several parts that of its text part.
    public let modelType: String
    /// The width of the residual stream.
    public let hiddenSize: Int
    public let queryHeads: Int
    /// Divides `queryHeads`.
    public let keyValueHeads: Int
    /// Even.
    public let headDimension: Int
    /// Rows of the embedding; may exceed the tokenizer's vocabulary.
    public let vocabularySize: Int
    /// The longest sequence that the model is made for. Units: tokens.
    public let maximumPositions: Int
    /// Every norm of the model but for whether it stands somewhere.
    public var norm: NormDescription
    public var layers: [LayerDescription]
    /// What embeddings are multiplied by.
    public var embeddingScale = 1.0
    public var head: HeadDescription
    /// Tokens that end an answer, one or several; empty when the model names none. Ids outside the vocabulary can never be given and are
    /// left out.
    public internal(set) var endOfText: [Int32]

    public var layerCount: Int { layers.count }

    /// The longest sequence that the model can be given: longer than it is made for where its rotary embedding adapts to any length.
    /// Units: tokens.
    public var longestSequence: Int {
        let isDynamic = layers.contains { if case .dynamic = $0.attention.rotary?.scaling { true } else { false } }
        return isDynamic ? ModelLimit.positions : maximumPositions
    }

    /// The layers that attend to every earlier position, which are those that sparse attention can gain in; others have a window of
    /// their own and keep it, whatever the attention method.
    public var fullAttentionLayers: [Int] { layers.indices.filter { layers[$0].attention.window == nil } }

    /// Which layers sparse attention can gain in, for people; nil where that is all of them.
    package var windowNote: String? {
        let full = fullAttentionLayers
        guard full.count < layerCount else { return nil }
        let windows = Set(layers.compactMap(\.attention.window)).sorted().map(String.init).joined(separator: ", ")
        let rest =
            full.isEmpty
            ? "no layer can gain" : "sparse attention can gain in \(full.count): \(full.map(String.init).joined(separator: ", "))"
        return "\(layerCount - full.count) of \(layerCount) layers have a window of their own (\(windows) tokens) and keep to it; \(rest)"
    }

    /// The widest feed-forward of any layer, or the widest expert.
    var widestFeedForward: Int { layers.map(\.feedForward.width).max() ?? 0 }

    /// The most experts that run for a token; nil where no layer has any.
    var mostActiveExperts: Int? {
        layers.compactMap { if case .experts(let experts) = $0.feedForward { experts.active } else { nil } }.max()
    }
}

/// A norm of a vector x: without its mean where that is removed, over √(mean(x²) + ε), times a weight of each element.
public struct NormDescription: Hashable, Sendable {
    /// Layer norm (arXiv 1607.06450) without bias instead of RMS norm (arXiv 1910.07467).
    public var removesMean = false
    public var epsilon: Double
    /// Added to the stored weights: 1 where the files hold what is to be added to one, as Gemma's do.
    public var weightOffset: Float = 0
}

/// How the final, normed state gives scores: cap(head · x · `scale`).
public struct HeadDescription: Hashable, Sendable {
    /// The head is the embedding, unless the weights hold another one.
    public var isTied: Bool
    public var scale = 1.0
    /// c in c · tanh(score / c).
    public var softCap: Double?
}
