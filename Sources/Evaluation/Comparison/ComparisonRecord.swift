import AttentionCore
import DurableFiles
import LanguageModels
import SampleAttention

/// What one attention did on one task: the unit a comparison's journal grows by.
public struct ComparisonRecord: Sendable, Hashable, Codable {
    public let method: String
    /// The task's id and kind.
    public let id, task: String
    /// Tokens, as the task's author counted them.
    public let length: Int
    /// Where the fact that is asked for stands, from 0 to 1; nil where there is no one place.
    public let depth: Double?
    /// The sum of scores, and what was asked.
    public let right: Double
    public let of: Int
    /// Nats a token of a text that was read along.
    public let negativeLogLikelihood: Double?
    /// To the first token, and of that in attention, and of that in selection.
    public let prefillSeconds, attentionSeconds, selectionSeconds: Double
    /// Kept over causal pairs, all layers and heads.
    public let density: Double
    /// Mean and least retained mass over every query row of every head; measured on one task of each length, nil on others.
    public let meanMass, minMass: Double?

    init(method: String, task: EvaluationTask, outcome: Evaluator.Outcome, mass: RetainedMassAudit?) {
        self.method = method
        id = task.id
        self.task = task.name
        length = task.length
        depth = task.depth
        right = outcome.right
        of = outcome.of
        negativeLogLikelihood = outcome.negativeLogLikelihood
        prefillSeconds = outcome.prefill.seconds
        attentionSeconds = outcome.prefill.attentionSeconds
        selectionSeconds = outcome.prefill.selectionSeconds
        density = outcome.prefill.density
        meanMass = mass?.mean
        minMass = mass?.minimum
    }
}

/// What a comparison was begun for.
public struct ComparisonHeader: JournalHeader, Hashable {
    public var schemaVersion = 2
    public let model: TunedConfig.ModelIdentity
    /// The attentions with their parameters, and the tasks, each as a digest.
    public let methods, tasks: String
    public let instructionSet, precision: String
    public let threads: Int

    public init(
        model: TunedConfig.ModelIdentity, methods: String, tasks: String, instructionSet: String, precision: String, threads: Int
    ) {
        self.model = model
        self.methods = methods
        self.tasks = tasks
        self.instructionSet = instructionSet
        self.precision = precision
        self.threads = threads
    }

    public func difference(from other: ComparisonHeader) -> JournalDifference? {
        .first(of: [
            ("schemaVersion", "\(schemaVersion)", "\(other.schemaVersion)"), ("model", model.summary, other.model.summary),
            ("methods", methods, other.methods), ("tasks", tasks, other.tasks),
            ("instructionSet", instructionSet, other.instructionSet), ("precision", precision, other.precision),
            ("threads", "\(threads)", "\(other.threads)"),
        ])
    }
}

public typealias ComparisonJournal = ResultJournal<ComparisonHeader, ComparisonRecord>

extension ResultJournal where Header == ComparisonHeader, Record == ComparisonRecord {
    /// Begins or continues the journal of a comparison.
    ///
    /// - Parameter turns: all of them, in order; the journal's records must be those of the first of them.
    /// - Throws: `InputError` as `init(path:header:resume:accept:)`, and with line and field for a record that is not of its turn,
    ///   or that no turn gives.
    public convenience init(
        comparison path: String, header: ComparisonHeader, turns: [Comparison.Turn], resume: Bool
    ) throws(InputError) {
        try self.init(path: path, header: header, resume: resume) { records throws(InputError) in
            for (index, record) in records.enumerated() {
                guard index < turns.count else { return turns.count }
                guard let fault = record.fault(turns[index]) else { continue }
                throw InputError(
                    .invalidData, file: path, field: "line \(index + 2), \(fault.field)", value: fault.value, rule: fault.rule)
            }
            return records.count
        }
    }
}

extension ComparisonRecord {
    /// The first field that cannot be this turn's; nil when the turn may have given the record.
    fileprivate func fault(_ turn: Comparison.Turn) -> (field: String, value: String, rule: String)? {
        let identity = [
            ("method", method, turn.policy.name), ("id", id, turn.task.id), ("task", task, turn.task.name),
            ("length", "\(length)", "\(turn.task.length)"),
        ]
        if let (field, value, wanted) = identity.first(where: { $0.1 != $0.2 }) {
            return (field, value, "must be \(wanted), whose turn it is")
        }
        if turn.measuresMass != (meanMass != nil && minMass != nil) {
            return ("meanMass", "\(meanMass.map { "\($0)" } ?? "none")", "must be there on the first task of each length alone")
        }
        // Masses are sums of FP32 probabilities, so they may pass 1 by their rounding.
        let ranges: [(field: String, value: Double?, range: ClosedRange<Double>)] = [
            ("right", right, 0...Double(max(0, of))), ("density", density, 0...1), ("meanMass", meanMass, 0...1.0001),
            ("minMass", minMass, 0...1.0001),
        ]
        for (field, value, range) in ranges where value.map({ !range.contains($0) }) ?? false {
            return (field, "\(value!)", "must be from \(range.lowerBound) to \(range.upperBound)")
        }
        let seconds = [("prefillSeconds", prefillSeconds), ("attentionSeconds", attentionSeconds), ("selectionSeconds", selectionSeconds)]
        for (field, value) in seconds where !(value >= 0) { return (field, "\(value)", "must not be negative") }
        return nil
    }
}
