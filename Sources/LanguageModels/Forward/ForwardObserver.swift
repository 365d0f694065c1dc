import AttentionCore

/// Sees the inside of a forward pass. Views are valid during the call only.
public protocol ForwardObserver {
    /// Whether `attended` is to be shown the rows' log-sum-exp too.
    var readsLogSumExp: Bool { get }

    /// After a layer's attention.
    mutating func attended(_ attention: LayerAttention) throws

    /// The residual stream [tokens][hidden] before layer `depth`; after the last layer `depth` is the layer count and the
    /// final norm has been applied.
    mutating func reached(depth: Int, hidden: UnsafeBufferPointer<Float>) throws

    /// The residual stream [tokens][hidden] after the last layer, before the final norm.
    mutating func passedLayers(hidden: UnsafeBufferPointer<Float>) throws
}

extension ForwardObserver {
    public var readsLogSumExp: Bool { false }
    public mutating func reached(depth: Int, hidden: UnsafeBufferPointer<Float>) throws {}
    public mutating func passedLayers(hidden: UnsafeBufferPointer<Float>) throws {}
}

/// Sees nothing.
public struct NoObserver: ForwardObserver {
    public init() {}
    public func attended(_ attention: LayerAttention) {}
}

/// Hands each layer's attention to a closure.
public struct AttentionTap: ForwardObserver {
    private let body: (LayerAttention) throws -> Void

    public var readsLogSumExp: Bool { true }

    public init(_ body: @escaping (LayerAttention) throws -> Void) { self.body = body }

    public func attended(_ attention: LayerAttention) throws { try body(attention) }
}

/// Two observers of one pass, one after the other.
struct ObserverPair<First: ForwardObserver, Second: ForwardObserver>: ForwardObserver {
    private(set) var first: First
    private var second: Second

    init(_ first: First, _ second: Second) {
        self.first = first
        self.second = second
    }

    var readsLogSumExp: Bool { first.readsLogSumExp || second.readsLogSumExp }

    mutating func attended(_ attention: LayerAttention) throws {
        try first.attended(attention)
        try second.attended(attention)
    }

    mutating func reached(depth: Int, hidden: UnsafeBufferPointer<Float>) throws {
        try first.reached(depth: depth, hidden: hidden)
        try second.reached(depth: depth, hidden: hidden)
    }

    mutating func passedLayers(hidden: UnsafeBufferPointer<Float>) throws {
        try first.passedLayers(hidden: hidden)
        try second.passedLayers(hidden: hidden)
    }
}
