/// The extents of one attention call.
///
/// Queries are the *last* `queryCount` positions of `keyCount`: query i stands at position `firstPosition + i` and sees
/// keys `0 ... firstPosition + i`. With grouped queries, query head h reads key-value head `h / groupSize`.
public struct AttentionShape: Hashable, Sendable {
    public let queryHeads: Int
    public let keyValueHeads: Int
    public let queryCount: Int
    public let keyCount: Int
    public let headDimension: Int
    /// How scores become attention.
    public let scores: ScoreRule

    public init(
        queryHeads: Int, keyValueHeads: Int, queryCount: Int, keyCount: Int, headDimension: Int, scores: ScoreRule = .standard
    ) {
        precondition(queryHeads > 0 && keyValueHeads > 0 && headDimension > 0, "heads and head dimension must be positive")
        precondition(queryHeads % keyValueHeads == 0, "queryHeads must be a multiple of keyValueHeads")
        precondition(queryCount > 0 && queryCount <= keyCount, "queries are the last queryCount of keyCount positions")
        self.queryHeads = queryHeads
        self.keyValueHeads = keyValueHeads
        self.queryCount = queryCount
        self.keyCount = keyCount
        precondition(scores.sinks.map { $0.count == queryHeads } ?? true, "there is a sink logit for each query head")
        self.headDimension = headDimension
        self.scores = scores
    }

    /// Query heads that share a key-value head.
    public var groupSize: Int { queryHeads / keyValueHeads }
    /// The position of query 0.
    public var firstPosition: Int { keyCount - queryCount }
    /// Causal (query, key) pairs of one head: Σ (position + 1). For `queryCount == keyCount == S` this is S(S+1)/2.
    public var causalPairs: Int { queryCount * (firstPosition + 1) + queryCount * (queryCount - 1) / 2 }

    public func keyValueHead(of queryHead: Int) -> Int { queryHead / groupSize }
}
