import AttentionCore
import SampleAttention

/// One set of parameters tried on one head at one length, and what it measured. A record; it never changes.
public struct FrozenTrial: Hashable, Sendable, Codable {
    public let length, layer, head: Int
    /// The round it was tried in, from 0; within a head and length they ascend.
    public let number: Int
    public let parameters: SampleAttentionParameters
    public let measured: TunedConfig.Measurement

    public init(
        length: Int, layer: Int, head: Int, number: Int, parameters: SampleAttentionParameters, measured: TunedConfig.Measurement
    ) {
        self.length = length
        self.layer = layer
        self.head = head
        self.number = number
        self.parameters = parameters
        self.measured = measured
    }

    /// Predicted milliseconds: what the search makes small.
    public var cost: Double { measured.milliseconds ?? .infinity }
    /// The other thing it makes small.
    public var error: Double { measured.outputError ?? .infinity }
}
