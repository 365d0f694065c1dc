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
        let work = WorkExecutor(journal: journal, item: LayerItem.init)
        let items = sources.flatMap { source in LayerItem.all(of: source) }
        func units(_ item: LayerItem) -> Int { max(1, (item.length / 512) * (item.length / 512)) * sources[0].queryHeads }
        let total = items.reduce(0) { $0 + units($1) }
        var done = work.done(items, work: units)
        let profiler = ModelProfiler(policy: policy, scale: scale)
        var profiles: [PromptProfile] = []
        for source in sources {
            let unit = units(LayerItem(layer: 0, of: source)) / source.queryHeads
            func show() { progress(Progress(done: done, total: total, text: source.text, tokens: source.tokens)) }
            show()
            profiles.append(
                try profiler.profile(
                    source, work: work, sibling: profiles.first { $0.length == source.tokens },
                    advance: {
                        done += unit
                        show()
                    }))
        }
        return profiles
    }
}

/// One layer of one prompt: what a profile measures at a time. Its overlaps are with the records of the layer before and of an earlier
/// prompt, its inputs beside the layer itself.
public struct LayerItem: Hashable, Sendable {
    public let textSHA256: String
    public let length, layer: Int

    public init(_ record: LayerProfile) { (textSHA256, length, layer) = (record.textSHA256, record.length, record.layer) }

    init(layer: Int, of source: some LayerSource) { (textSHA256, length, self.layer) = (source.text.sha256, source.tokens, layer) }

    static func all(of source: some LayerSource) -> [LayerItem] { source.layers.map { LayerItem(layer: $0, of: source) } }
}
