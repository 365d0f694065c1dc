/// One layer's inputs to attention: Q [queryHeads][queryCount][d], K and V [keyValueHeads][keyCount][d], rotated, not scaled.
public struct LayerInputs: Sendable {
    public let query, key, value: HeadTensor
    public let shape: AttentionShape

    public init(query: HeadTensor, key: HeadTensor, value: HeadTensor, scores: ScoreRule = .standard) {
        self.query = query
        self.key = key
        self.value = value
        shape = AttentionShape(
            queryHeads: query.heads, keyValueHeads: key.heads, queryCount: query.tokens, keyCount: key.tokens,
            headDimension: query.dimension, scores: scores)
    }
}
