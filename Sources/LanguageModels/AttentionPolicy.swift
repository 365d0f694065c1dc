import AttentionCore
import SampleAttention

/// How each layer attends during prefill: parameters for every query head, by layer and prompt length.
public struct AttentionPolicy: Sendable {
    /// A short name for tables and JSON, such as `dense` or `tuned`.
    public let name: String
    /// Asks for certificates of the heads' retained mass, and maybe for a least mass; nil asks for neither.
    public private(set) var certification: Certification?
    private let choose: @Sendable (_ layer: Int, _ queryHeads: Int, _ promptLength: Int) -> [SampleAttentionParameters]

    /// The parameters of each query head of a layer, for a prompt of this length.
    public func parameters(layer: Int, queryHeads: Int, promptLength: Int) -> [SampleAttentionParameters] {
        choose(layer, queryHeads, promptLength)
    }

    /// The same attention with every head certified, and changed where it misses the certification's least mass.
    public func certified(_ certification: Certification) -> AttentionPolicy {
        var policy = self
        policy.certification = certification
        return policy
    }

    /// Full attention everywhere.
    public static let dense = fixed(.dense, name: "dense")

    /// The same parameters for every head.
    public static func fixed(_ parameters: SampleAttentionParameters, name: String) -> AttentionPolicy {
        AttentionPolicy(name: name) { _, heads, _ in Array(repeating: parameters, count: heads) }
    }

    /// Parameters by layer and head, whatever the prompt's length.
    public static func perHead(
        name: String = "per head", _ parameters: @escaping @Sendable (_ layer: Int, _ head: Int) -> SampleAttentionParameters
    ) -> AttentionPolicy {
        AttentionPolicy(name: name) { layer, heads, _ in (0..<heads).map { parameters(layer, $0) } }
    }

    /// What a tuned config says; it must have been checked against the model.
    public static func tuned(_ config: TunedConfig) -> AttentionPolicy {
        AttentionPolicy(name: "tuned") { layer, _, length in config.parameters(layer: layer, promptLength: length) }
    }
}
