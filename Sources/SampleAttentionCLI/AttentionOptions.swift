import ArgumentParser
import AttentionCore
import LanguageModels
import SampleAttention

/// How a prefill attends.
struct AttentionOptions: ParsableArguments {
    @Option(
        help:
            "dense, sample (SampleAttention; implied by its options below), paper (the paper's settings and rule) or tuned (needs --config)."
    )
    var attention: String?

    @Option(help: ArgumentHelp("Tuned config file; implies --attention tuned.", valueName: "file"))
    var config: String?

    @OptionGroup var parameters: ParameterOptions

    /// - Parameter standard: the attention when neither a name, a config nor parameters are given.
    func policy(_ session: Session, default standard: String = "dense") throws(InputError) -> AttentionPolicy {
        let name = attention ?? (config != nil ? "tuned" : parameters.areGiven ? "sample" : standard)
        if parameters.areGiven, name != "sample", Self.names.contains(name) {
            throw InputError(.usage, field: "attention", value: name, rule: "must be sample when parameters such as --alpha are given")
        }
        if config != nil, name != "tuned", Self.names.contains(name) {
            throw InputError(.usage, field: "attention", value: name, rule: "must be tuned when --config is given")
        }
        return try Self.policy(named: name, config: config, parameters: parameters, session: session)
    }

    static let names = ["dense", "sample", "paper", "tuned"]

    static func policy(
        named name: String, config: String?, parameters: ParameterOptions, session: Session
    ) throws(InputError) -> AttentionPolicy {
        // Checked whichever attention uses them: a bad value is never passed over in silence.
        let own = try parameters.parameters(seed: session.seed)
        switch name {
        case "dense": return .dense
        case "sample": return .fixed(own, name: name)
        case "paper": return .fixed(.paper, name: name)
        case "tuned":
            guard let config else { throw InputError(.usage, field: "config", rule: "tuned attention needs a --config file") }
            return .tuned(try session.config(at: config))
        default:
            throw InputError(.usage, field: "attention", value: name, rule: "must be one of \(names.joined(separator: ", "))")
        }
    }
}
