import ArgumentParser
import AttentionCore
import LanguageModels
import SampleAttention

/// The parameters of SampleAttention, where a command takes one set for all heads.
struct ParameterOptions: ParsableArguments {
    @Option(help: "Share of the sampled mass to keep, in (0, 1].")
    var alpha: Double?

    @Option(help: "Window as a share of the prompt, in (0, 1].")
    var windowRatio: Double?

    @Option(help: "Window as a number of tokens, instead of a ratio.")
    var windowTokens: Int?

    @Option(help: "Share of the query rows scored for the selection, in (0, 1].")
    var sampleRatio: Double?

    @Option(help: "First keys that are always kept.")
    var sinks: Int?

    @Option(help: "Rows at the prompt's end that see everything.")
    var denseLastRows: Int?

    @Option(help: "Which mass chooses columns: window-aware or all-mass (the paper's rule).")
    var columnScoring: String?

    /// True when any of them was given.
    var areGiven: Bool {
        [alpha, windowRatio, sampleRatio].contains { $0 != nil } || [windowTokens, sinks, denseLastRows].contains { $0 != nil }
            || columnScoring != nil
    }

    /// The standard parameters with what was given in their place.
    func parameters() throws(InputError) -> SampleAttentionParameters {
        var parameters = SampleAttentionParameters.standard
        if let alpha { parameters.alpha = try Fraction(alpha, field: "alpha") }
        if let windowRatio { parameters.window = .ratio(try Fraction(windowRatio, field: "window-ratio")) }
        if let windowTokens { parameters.window = .tokens(try Self.count(windowTokens, "window-tokens", atLeast: 1)) }
        if let sampleRatio { parameters.sampleRatio = try Fraction(sampleRatio, field: "sample-ratio") }
        if let sinks { parameters.sinks = try Self.count(sinks, "sinks", atLeast: 0) }
        if let denseLastRows { parameters.denseLastRows = try Self.count(denseLastRows, "dense-last-rows", atLeast: 0) }
        if let columnScoring {
            guard let scoring = SampleAttentionParameters.ColumnScoring(rawValue: columnScoring) else {
                throw InputError(.usage, field: "column-scoring", value: columnScoring, rule: "must be window-aware or all-mass")
            }
            parameters.columnScoring = scoring
        }
        if windowRatio != nil, windowTokens != nil {
            throw InputError(.usage, field: "window-tokens", rule: "give a window as a ratio or as tokens, not both")
        }
        return parameters
    }

    /// - Parameter maximum: far above any use, and low enough that sizes made from counts stay inside 64 bits.
    static func count(_ value: Int, _ field: String, atLeast minimum: Int, atMost maximum: Int = 1 << 30) throws(InputError) -> Int {
        guard (minimum...maximum).contains(value) else {
            throw InputError(.usage, field: field, value: "\(value)", rule: "must be from \(minimum) to \(maximum)")
        }
        return value
    }
}

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
        let own = try parameters.parameters()
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
