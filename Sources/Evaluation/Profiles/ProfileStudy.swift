import AttentionCore
import AttentionKernels
import AttentionLayers
import DurableFiles
import HeadProfiling
import LanguageModels
import ModelFormats
import RunProvenance
import SampleAttention

/// Profiles of several prompts in turn, as far as a journal has not got them.
public struct ProfileStudy {
    /// How far a study has come. Work grows with the square of the length.
    public struct Progress: Sendable {
        public let done, total: Int
        /// The prompt that is being profiled.
        public let text: Provenance.Text
        public let tokens: Int
    }

    private let sources: [any LayerSource]
    private let policy: AttentionPolicy
    private let scale: ProfileScale

    /// - Parameters:
    ///   - sources: of one model, with the same layers.
    ///   - policy: whose patterns are measured; one of parameters, not of another method.
    public init(_ sources: [any LayerSource], policy: AttentionPolicy, scale: ProfileScale) {
        precondition(!sources.isEmpty, "a study has prompts")
        self.sources = sources
        self.policy = policy
        self.scale = scale
    }

    /// What the study's journal is for.
    public func header(model: ModelIdentity) -> ProfileHeader {
        let (first, lengths) = (sources[0], Set(sources.map(\.tokens)).sorted())
        // All parameters of all heads, whichever file or options they came from.
        let parameters = lengths.flatMap { length in
            first.layers.map { policy.parameters(layer: $0, queryHeads: first.queryHeads, promptLength: length) ?? [] }
        }
        let texts = sources.map(\.text.sha256).reduce(into: [String]()) { texts, text in if !texts.contains(text) { texts.append(text) } }
        return ProfileHeader(
            model: model, textSHA256: texts, attention: "\(policy.name), parameters \(sha256(ofJSON: parameters).prefix(12))", scale: scale,
            instructionSet: first.kernel.instructionSet.rawValue, precision: first.kernel.precision.rawValue)
    }

    /// - Parameters:
    ///   - journal: its records are not measured again, and what is measured is appended to it.
    ///   - progress: called after each head.
    /// - Throws: as `ModelProfiler.profile`, and where the journal cannot be written.
    public func run(journal: ProfileJournal?, progress: (Progress) -> Void = { _ in }) throws -> [PromptProfile] {
        let recorded = sources.map { self.recorded(of: $0, journal: journal) }
        let units = sources.map { max(1, ($0.tokens / 512) * ($0.tokens / 512)) }
        let total = zip(units, sources).reduce(0) { $0 + $1.0 * $1.1.layers.count * $1.1.queryHeads }
        var done = sources.indices.reduce(0) { $0 + units[$1] * recorded[$1].count * sources[$1].queryHeads }
        let profiler = ModelProfiler(policy: policy, scale: scale)
        var profiles: [PromptProfile] = []
        for (index, source) in sources.enumerated() {
            func show() { progress(Progress(done: done, total: total, text: source.text, tokens: source.tokens)) }
            show()
            profiles.append(
                try profiler.profile(
                    source, recorded: recorded[index], sibling: profiles.first { $0.length == source.tokens },
                    record: { try journal?.append([$0]) },
                    advance: {
                        done += units[index]
                        show()
                    }))
        }
        return profiles
    }

    /// A prompt's layers from the first on, each once: a run that was resumed twice may have left one twice.
    private func recorded(of source: some LayerSource, journal: ProfileJournal?) -> [LayerProfile] {
        var whole: [LayerProfile] = []
        for layer in journal?.recorded ?? [] where layer.textSHA256 == source.text.sha256 && layer.length == source.tokens {
            if whole.count < source.layers.count, layer.layer == source.layers[whole.count] { whole.append(layer) }
        }
        return whole
    }
}
