import AttentionCore
import AttentionKernels

/// How each layer attends during prefill: a method with a name, and whether what its heads retain is certified.
public struct AttentionPolicy: Sendable {
    /// A short name for tables and JSON, such as `dense` or `tuned`.
    public let name: String
    /// Asks for certificates of the heads' retained mass, and maybe for a least mass; nil asks for neither.
    public private(set) var certification: Certification?
    private var method: any AttentionMethod

    public init(name: String, method: any AttentionMethod) {
        self.name = name
        self.method = method
    }

    /// True for SampleAttention with any parameters, full attention among them; false for other methods, which cannot be profiled.
    public var isSampleAttention: Bool { method is ParameterMethod }

    /// True when `certified(_:)` may be asked for.
    public var canCertify: Bool { method.canCertify }

    /// The parameters of each query head of a layer, for a prompt of this length; nil for other methods than SampleAttention.
    public func parameters(layer: Int, queryHeads: Int, promptLength: Int) -> [SampleAttentionParameters]? {
        (method as? ParameterMethod)?.parameters(layer, queryHeads, promptLength)
    }

    /// The same attention with every head certified, and changed where it misses the certification's least mass: SampleAttention's heads
    /// take more columns, then everything; other methods' heads everything at once.
    ///
    /// - Precondition: `canCertify`.
    public func certified(_ certification: Certification) -> AttentionPolicy {
        precondition(canCertify, "certificates are of patterns, and \(name) attention keeps none")
        var policy = self
        policy.certification = certification
        return policy
    }

    /// The policy for one prefill: see `AttentionMethod.begunPrefill`.
    public func begunPrefill() -> AttentionPolicy {
        var policy = self
        policy.method = method.begunPrefill()
        return policy
    }

    /// Attends in one layer.
    ///
    /// Shapes and errors: as `AttentionMethod.attend`; its errors name the layer.
    public func attend(
        _ call: LayerCall, output: MutableHeadTensor, logSumExp: UnsafeMutablePointer<Float>? = nil, workspace: AttentionWorkspace
    ) throws(InputError) -> AttentionReport {
        try InputError.within("layer \(call.layer)") { () throws(InputError) in
            try method.attend(
                call, output: output, logSumExp: logSumExp, certification: certification?.seeded(layer: call.layer), workspace: workspace)
        }
    }

    /// Full attention everywhere.
    public static let dense = fixed(.dense, name: "dense")

    /// The same parameters for every head.
    public static func fixed(_ parameters: SampleAttentionParameters, name: String) -> AttentionPolicy {
        AttentionPolicy(name: name, method: ParameterMethod { _, heads, _ in Array(repeating: parameters, count: heads) })
    }

    /// Parameters by layer and head, whatever the prompt's length.
    public static func perHead(
        name: String = "per head", _ parameters: @escaping @Sendable (_ layer: Int, _ head: Int) -> SampleAttentionParameters
    ) -> AttentionPolicy {
        AttentionPolicy(name: name, method: ParameterMethod { layer, heads, _ in (0..<heads).map { parameters(layer, $0) } })
    }

    /// What a tuned config says; it must have been checked against the model.
    public static func tuned(_ config: TunedConfig) -> AttentionPolicy {
        AttentionPolicy(
            name: "tuned", method: ParameterMethod { layer, _, length in config.parameters(layer: layer, promptLength: length) })
    }
}
