import AttentionCore
import AttentionKernels
import AttentionLayers
import Autotuning
import DurableFiles
import RunProvenance
import SampleAttention

/// What a study of heads is about: a journal continues only the study it was begun for.
public struct HeadStudyHeader: Hashable, JournalHeader {
    public var schemaVersion = 1
    public let model: ModelIdentity
    /// By length.
    public let prompts: [Prompt]
    public let layers: [Int]
    public let trials: Int
    public let sampler: SamplerKind
    public let space: SearchSpace
    public let seed: UInt64
    /// Other instructions, and other operands, round differently, and a study must be repeatable.
    public let instructionSet: String
    public let precision: Precision
    /// What the search minimises; a study ends with the model it began with.
    public let secondsPerUnit: [String: Double]

    /// The start of a text.
    public struct Prompt: Hashable, Sendable, Codable {
        public let textSHA256: String
        public let tokens: Int
    }

    /// - Parameters:
    ///   - sources: as `HeadStudy.run` gets them.
    ///   - settings: as `HeadStudy.init` gets them.
    public init(model: ModelIdentity, sources: [any LayerSource], settings: TuningSettings, latency: LatencyModel) {
        precondition(!sources.isEmpty, "a study has prompts")
        let kernel = sources[0].kernel
        self.model = model
        prompts = sources.sorted { $0.tokens < $1.tokens }.map { Prompt(textSHA256: $0.text.sha256, tokens: $0.tokens) }
        layers = sources[0].layers
        (trials, sampler, space, seed) = (settings.trials, settings.sampler, settings.space, settings.seed)
        instructionSet = kernel.instructionSet.rawValue
        precision = kernel.precision
        secondsPerUnit = latency.journalled
    }

    /// As `StudyHeader.latency(like:path:)`.
    public func latency(like latency: LatencyModel, path: String) throws(InputError) -> LatencyModel {
        try LatencyModel(journalled: secondsPerUnit, like: latency, path: path)
    }

    /// Costs may differ: the study's own are used.
    public func difference(from other: HeadStudyHeader) -> JournalDifference? {
        func prompts(_ header: HeadStudyHeader) -> String {
            header.prompts.map { "\($0.tokens) tokens of \($0.textSHA256.prefix(12))" }.joined(separator: ", ")
        }
        return .first(of: [
            ("schemaVersion", "\(schemaVersion)", "\(other.schemaVersion)"), ("model", model.summary, other.model.summary),
            ("prompts", prompts(self), prompts(other)), ("layers", "\(layers)", "\(other.layers)"),
            ("trials", "\(trials)", "\(other.trials)"), ("sampler", sampler.rawValue, other.sampler.rawValue),
            ("seed", "\(seed)", "\(other.seed)"), ("instructionSet", instructionSet, other.instructionSet),
            ("precision", precision.rawValue, other.precision.rawValue),
        ]) ?? .first(ofMembers: space, other.space, named: "space.")
    }
}

public typealias HeadStudyJournal = ResultJournal<HeadStudyHeader, FrozenTrial>

extension ResultJournal where Header == HeadStudyHeader, Record == FrozenTrial {
    /// Begins or continues the journal of a study of heads.
    ///
    /// - Throws: `InputError` as `init(file:header:resume:accept:)`, and for trials of heads that the study does not have or with
    ///   numbers that no measurement gives.
    public convenience init(heads file: consuming JournalFile, header: HeadStudyHeader, resume: Bool) throws(InputError) {
        let path = file.path
        try self.init(file: file, header: header, resume: resume) { records throws(InputError) in
            try Self.require(records, path: path) { _, trial in header.fault(of: trial).map { RecordFault(rule: $0) } }
            return records.count
        }
    }
}

extension HeadStudyHeader {
    /// What is wrong with a record, in words; nil when the study may have written it.
    fileprivate func fault(of trial: FrozenTrial) -> String? {
        guard prompts.contains(where: { $0.tokens == trial.length }) else { return "length \(trial.length) must be one of the study's" }
        guard layers.contains(trial.layer), (0..<model.queryHeads).contains(trial.head) else {
            return "layer \(trial.layer), head \(trial.head) must be one of the study's"
        }
        return trial.fault
    }
}
