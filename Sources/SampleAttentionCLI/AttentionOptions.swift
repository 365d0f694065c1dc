import ArgumentParser
import AttentionBaselines
import AttentionCore
import LanguageModels
import ModelFormats
import SampleAttention
import StudyReports

/// How a prefill attends.
struct AttentionOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            dense; sample (SampleAttention; implied by its options below), paper (the paper's settings and rule), paper-v3 (its third \
            version: columns and diagonals), key-blocks (blocks of keys chosen for each 64 rows, in every head), tuned (needs --config, but for the bundled model); another system: \
            \(AttentionChoice.list(AttentionSystem.rivals)); or a variant of the selection: \(AttentionChoice.list(AttentionSystem.variants)). \
            Commands that read SampleAttention's parameters (profile, verify) take the first six, without --density.
            """))
    var attention: String?

    @Option(help: ArgumentHelp("Tuned config file; implies --attention tuned.", valueName: "file"))
    var config: String?

    @Option(
        help:
            "Share of the pairs that each head keeps, in (0, 1], whatever the attention's own settings would keep; implies --attention sample."
    )
    var density: Double?

    @OptionGroup var parameters: ParameterOptions

    /// - Parameter standard: the attention when neither a name, a config, parameters nor a density are given.
    func policy(_ session: some Run, default standard: String = "dense") throws(InputError) -> AttentionPolicy {
        let name = attention ?? (config != nil ? "tuned" : parameters.areGiven || density != nil ? "sample" : standard)
        if parameters.areGiven, name != "sample", AttentionChoice.names.contains(name) {
            throw InputError(.usage, field: "attention", value: name, rule: "must be sample when parameters such as --alpha are given")
        }
        if config != nil, name != "tuned", AttentionChoice.names.contains(name) {
            throw InputError(.usage, field: "attention", value: name, rule: "must be tuned when --config is given")
        }
        if let density, ["dense", "tuned"].contains(name) {
            throw InputError(
                .usage, field: "density", value: "\(density)", rule: "\(name) attention has no budget: give another --attention")
        }
        return try choice(session).policy(named: name)
    }

    /// See `AttentionChoice.settings`.
    func settings(_ policy: AttentionPolicy, session: any Run) throws(InputError) -> AttentionSettings {
        try choice(session).settings(of: [policy])
    }

    /// The same for what only SampleAttention can do: its heads' own parameters are read.
    func sampleAttentionPolicy(_ session: some Run, default standard: String) throws(InputError) -> AttentionPolicy {
        let policy = try policy(session, default: standard)
        guard policy.isSampleAttention else {
            throw InputError(
                .usage, field: density == nil ? "attention" : "density", value: density.map { "\($0)" } ?? policy.name,
                rule:
                    "this command reads SampleAttention's parameters: give dense, sample, paper, paper-v3, key-blocks or tuned without --density"
            )
        }
        return policy
    }

    private func choice(_ session: some Run) throws(InputError) -> AttentionChoice {
        try AttentionChoice(config: config, density: density, parameters: parameters, session: session)
    }
}

/// Attentions by name.
struct AttentionChoice {
    /// The tuned config, of whichever there is.
    let config: String?
    let density: Fraction?
    private let own: SampleAttentionParameters
    private let session: any Run

    static let ownNames = ["dense", "sample", "paper", "paper-v3", "key-blocks", "tuned"]
    static let names = ownNames + AttentionSystem.allCases.map(\.rawValue)

    static func list(_ systems: [AttentionSystem]) -> String { systems.map(\.rawValue).joined(separator: ", ") }

    /// Parameters are checked whichever attention uses them: a bad value is never passed over in silence.
    init(config: String?, density: Double?, parameters: ParameterOptions, session: any Run) throws(InputError) {
        self.config = config ?? session.bundledConfig
        self.density = try density.map { value throws(InputError) in try Fraction(value, field: "density") }
        own = try parameters.parameters(seed: session.seed)
        if density != nil { try parameters.refuseShares() }
        self.session = session
    }

    /// - Parameter field: the option that named it.
    func policy(named name: String, field: String = "attention") throws(InputError) -> AttentionPolicy {
        switch name {
        case "dense": return .dense
        case "sample": return try policy(own, name: name)
        case "paper": return try policy(.paper, name: name)
        case "paper-v3": return try policy(.paperV3, name: name)
        case "key-blocks": return try policy(.keyBlocks(), name: name)
        case "tuned":
            guard let config else {
                throw InputError(.usage, field: "config", rule: "tuned attention needs the --config file that tune writes for a model")
            }
            return .tuned(try session.config(at: config))
        default:
            guard let system = AttentionSystem(rawValue: name) else {
                throw InputError(
                    .usage, field: field, value: name, rule: "must be one of \(Self.names.joined(separator: ", "))")
            }
            return AttentionPolicy(name: name, method: system.method(budget: density.map { .density($0) } ?? .own, seed: session.seed))
        }
    }

    func settings(of policies: [AttentionPolicy]) throws(InputError) -> AttentionSettings {
        let readsConfig = policies.contains { $0.name == "tuned" }
        return AttentionSettings(
            parameters: own, density: density,
            configSHA256: try config.flatMap { path throws(InputError) in readsConfig ? sha256(ofText: try TextFile.read(path)) : nil })
    }

    private func policy(_ parameters: SampleAttentionParameters, name: String) throws(InputError) -> AttentionPolicy {
        guard let density else { return .fixed(parameters, name: name) }
        guard parameters.pattern.samplesRows || parameters.pattern == .keyBlocks else {
            throw InputError(
                .usage, field: "density", value: "\(density)",
                rule: "needs --head-pattern stripe-window, column-slash or key-blocks, which have something to select")
        }
        return AttentionPolicy(name: name, method: DensityStripes(parameters: parameters, density: density))
    }
}
