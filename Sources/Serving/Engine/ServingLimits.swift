/// What a server takes on, at most.
package struct ServingLimits: Sendable {
    /// Generations at a time, and requests that wait for their turn.
    package var running = 1
    package var waiting = 64
    /// New tokens of an answer; nil for as many as there are positions.
    package var maxTokens: Int?
    /// Tokens of a prompt and its answer; nil for the model's own limit.
    package var contextTokens: Int?
    /// Of a request's body. Units: bytes.
    package var bodyBytes = 16 << 20
    /// From a request's arrival to the end of its answer, and for its body to come.
    package var requestTime = Duration.seconds(600)
    package var bodyTime = Duration.seconds(30)
    /// Of kept conversations. Units: bytes.
    package var prefixCacheBytes = 1 << 30
    /// For which a conversation is kept that nobody goes on with.
    package var prefixCacheTime = Duration.seconds(1800)

    package init() {}
}
