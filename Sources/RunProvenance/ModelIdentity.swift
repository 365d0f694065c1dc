/// What makes a model the same model.
public struct ModelIdentity: Hashable, Sendable, Codable {
    public var family: String
    public var layers, queryHeads, keyValueHeads, headDimension: Int
    public var weightsSHA256, tokenizerSHA256: String

    public init(
        family: String, layers: Int, queryHeads: Int, keyValueHeads: Int, headDimension: Int, weightsSHA256: String,
        tokenizerSHA256: String
    ) {
        self.family = family
        self.layers = layers
        self.queryHeads = queryHeads
        self.keyValueHeads = keyValueHeads
        self.headDimension = headDimension
        self.weightsSHA256 = weightsSHA256
        self.tokenizerSHA256 = tokenizerSHA256
    }

    /// One line that tells two models apart.
    public var summary: String {
        "\(family) \(layers) layers \(queryHeads)/\(keyValueHeads) heads of \(headDimension), weights \(weightsSHA256.prefix(12)), "
            + "tokenizer \(tokenizerSHA256.prefix(12))"
    }
}
