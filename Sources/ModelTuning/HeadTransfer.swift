import SampleAttention

/// What a head's parameters keep and spoil on a prompt they were not chosen on, beside what they did where they were.
public struct HeadTransfer: Sendable, Codable {
    public let length, layer, head: Int
    public let tuned, heldOut: TunedConfig.Measurement

    /// Mean retained mass that the other text costs; negative where it keeps more.
    public var massLost: Double { tuned.meanMass - heldOut.meanMass }
    /// Output error on the other text over that on the tuning text: 1 where both are nothing.
    public var errorRatio: Double {
        let (own, other) = (tuned.outputError ?? 0, heldOut.outputError ?? 0)
        return own == other ? 1 : other / max(own, .leastNormalMagnitude)
    }
}
