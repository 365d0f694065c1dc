import AttentionCore
import AttentionKernels
import SampleAttention

/// How each layer attends during prefill: SampleAttention with parameters for every query head, by layer and prompt length; or
/// another method.
public struct AttentionPolicy: Sendable {
    /// A short name for tables and JSON, such as `dense` or `tuned`.
    public let name: String
    /// Asks for certificates of the heads' retained mass, and maybe for a least mass; nil asks for neither.
    public private(set) var certification: Certification?
    private let choice: Choice

    private enum Choice: Sendable {
        case parameters(@Sendable (_ layer: Int, _ queryHeads: Int, _ promptLength: Int) -> [SampleAttentionParameters])
        case method(any AttentionMethod)
    }

    private init(
        name: String, choose: @escaping @Sendable (_ layer: Int, _ queryHeads: Int, _ promptLength: Int) -> [SampleAttentionParameters]
    ) {
        self.name = name
        choice = .parameters(choose)
    }

    /// Attention by a method other than SampleAttention. It cannot be certified or profiled.
    public init(name: String, method: any AttentionMethod) {
        self.name = name
        choice = .method(method)
    }

    /// True for SampleAttention with any parameters, full attention among them; false for other methods.
    public var isSampleAttention: Bool {
        if case .parameters = choice { true } else { false }
    }

    /// The parameters of each query head of a layer, for a prompt of this length; nil for other methods than SampleAttention.
    public func parameters(layer: Int, queryHeads: Int, promptLength: Int) -> [SampleAttentionParameters]? {
        switch choice {
        case .parameters(let choose): choose(layer, queryHeads, promptLength)
        case .method: nil
        }
    }

    /// The same attention with every head certified, and changed where it misses the certification's least mass.
    ///
    /// - Precondition: the policy is one of parameters.
    public func certified(_ certification: Certification) -> AttentionPolicy {
        precondition(isSampleAttention, "only SampleAttention certifies what it keeps")
        var policy = self
        policy.certification = certification
        return policy
    }

    /// The policy for one prefill: see `AttentionMethod.begunPrefill`.
    public func begunPrefill() -> AttentionPolicy {
        guard case .method(let method) = choice else { return self }
        return AttentionPolicy(name: name, method: method.begunPrefill())
    }

    /// Attends in one layer.
    ///
    /// Shapes and errors: as `AttentionMethod.attend` and `SampleAttentionOperator.attend`; its errors name the layer.
    public func attend(
        _ call: LayerCall, output: MutableHeadTensor, logSumExp: UnsafeMutablePointer<Float>? = nil, workspace: AttentionWorkspace
    ) throws(InputError) -> AttentionReport {
        switch choice {
        case .method(let method): return try method.attend(call, output: output, logSumExp: logSumExp, workspace: workspace)
        case .parameters(let choose):
            return try InputError.within("layer \(call.layer)") { () throws(InputError) in
                try SampleAttentionOperator(kernel: call.kernel).attend(
                    call.inputs, parameters: choose(call.layer, call.shape.queryHeads, call.promptLength), promptLength: call.promptLength,
                    output: output, logSumExp: logSumExp, certification: certification?.seeded(layer: call.layer), workspace: workspace)
            }
        }
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
