import AttentionCore
import AttentionKernels
import DurableFiles
import Foundation
import LanguageModels
import ModelFormats
import Parallelism
import ProcessGroups
import RunProvenance
import SampleAttention

/// Several attentions on the same tasks. They take turns on each task, so that noise of the machine hits them alike.
public struct ComparisonStudy: Sendable {
    public let model: LanguageModel
    public let policies: [AttentionPolicy]
    /// By length, then as given.
    public let tasks: [EvaluationTask]
    /// For all attentions.
    public let cache: LanguageModel.CacheSettings
    /// Tokens a prefill takes at once; nil takes all.
    public let chunk: Int?
    private let measuresMass: Bool

    /// - Parameters:
    ///   - policies: of different names.
    ///   - measuresMass: whether retained masses are measured, on the first task of each length.
    public init(
        model: LanguageModel, policies: [AttentionPolicy], tasks: [EvaluationTask], cache: LanguageModel.CacheSettings = .init(),
        chunk: Int? = nil, measuresMass: Bool = true
    ) {
        self.model = model
        self.chunk = chunk
        self.measuresMass = measuresMass
        self.cache = cache.named(for: model)
        self.policies = policies
        let lengths = Set(tasks.map(\.length)).sorted()
        self.tasks = lengths.flatMap { length in tasks.filter { $0.length == length } }
    }

    /// One attention's turn on one task.
    public struct Turn: Sendable {
        public let policy: AttentionPolicy
        public let task: EvaluationTask
        /// Whether the retained mass is measured too, which takes about three times as long as the turn.
        public let measuresMass: Bool

        /// The turn's share of the whole work, roughly: quadratic in long texts, linear in short ones.
        public var work: Int {
            let pieces = task.length / 256 + 1
            return pieces * (64 + pieces) * (measuresMass ? 4 : 1)
        }
    }

    /// Every turn in order; the first task of each length is the one that masses are measured on.
    public var turns: [Turn] {
        var measured: Set<Int> = []
        return tasks.flatMap { task in
            let isFirst = measuresMass && measured.insert(task.length).inserted
            return policies.map { Turn(policy: $0, task: task, measuresMass: isFirst) }
        }
    }

    /// How far a study has come, in the units of `Turn.work`.
    public struct Progress: Sendable {
        public let done, total: Int
        /// The turn that has just ended; nil before the first.
        public let last: Turn?
    }

    /// Runs every turn that a journal does not hold yet.
    ///
    /// - Parameters:
    ///   - journal: its records are not measured again; what is measured is appended to it. Nil on other ranks than 0.
    ///   - group: ranks that share the turns out; each calls this with the same study.
    ///   - progress: called at the start and after each turn, on rank 0.
    /// - Returns: a record a turn, in their order.
    /// - Throws: as `run(_:)`, and `InputError` where the journal cannot be written; of several ranks `CommonFailure`.
    public func run(
        journal: ComparisonJournal?, in group: any ProcessGroup = SoleProcess(), progress: (Progress) -> Void = { _ in }
    ) throws -> [ComparisonRecord] {
        let turns = turns
        let recorded = try group.shared(journal?.recorded ?? [])
        let places = TurnPlaces(turns).places(of: recorded)
        precondition(!places.contains(nil), "a journal is checked when it is opened")
        let executor = WorkExecutor(recorded: zip(places, recorded).map { ($0!, $1) }, in: group) { records throws(InputError) in
            try journal?.append(records)
        }
        let total = turns.reduce(0) { $0 + $1.work }
        progress(Progress(done: executor.done(turns.indices, work: { turns[$0].work }), total: total, last: nil))
        let records = try executor.run(
            Array(turns.indices), work: { turns[$0].work },
            progress: { progress(Progress(done: $0.done, total: $0.total, last: turns[$0.item])) },
            measure: { try run(turns[$0]) })
        return records.map { $0! }
    }

    /// What the study's journal is for.
    ///
    /// - Parameters:
    ///   - settings: all that decides how the attentions attend, beside their names.
    ///   - seed: of everything random.
    public func header(model identity: ModelIdentity, settings: some Encodable, seed: UInt64) -> ComparisonHeader {
        let run = RunSettings(attention: settings, seed: seed, cache: cache, chunk: chunk)
        let lines = tasks.reduce(into: Data()) { $0 += TaskFile.line($1) }
        return ComparisonHeader(
            model: identity, methods: policies.map(\.name).joined(separator: ",") + " " + sha256(ofJSON: run).prefix(12),
            tasks: "\(tasks.count) tasks " + sha256(ofText: String(decoding: lines, as: UTF8.self)).prefix(12),
            instructionSet: model.kernel.instructionSet.rawValue, precision: model.kernel.precision.rawValue,
            threads: model.kernel.pool.threads)
    }

    private struct RunSettings<Attention: Encodable>: Encodable {
        let attention: Attention
        let seed: UInt64
        let cache: LanguageModel.CacheSettings
        let chunk: Int?
    }

    /// - Throws: `InputError`, naming the task, when a prompt does not fit the model.
    public func run(_ turn: Turn) throws -> ComparisonRecord {
        let outcome = try Evaluator(model: model, policy: turn.policy, chunk: chunk, cache: cache).run(turn.task)
        return ComparisonRecord(
            method: turn.policy.name, task: turn.task, outcome: outcome,
            mass: turn.measuresMass ? try retainedMass(turn.task, policy: turn.policy) : nil)
    }

    private func retainedMass(_ task: EvaluationTask, policy: AttentionPolicy) throws -> RetainedMassAudit {
        let tokens = try model.promptTokens(for: task.text)
        var audit = RetainedMassAudit(kernel: model.kernel, policy: policy)
        _ = try model.prefill(
            tokens, cache: model.makeCache(capacity: tokens.count, format: cache.format), policy: policy, chunk: chunk, observer: &audit)
        guard audit.mean.isFinite, audit.minimum.isFinite else {
            throw InputError(
                .invalidData, file: model.files.path, field: "task \(task.id), retained mass", value: "\(audit.mean)",
                rule: "must be finite: the weights are too large for FP32")
        }
        return audit
    }
}
