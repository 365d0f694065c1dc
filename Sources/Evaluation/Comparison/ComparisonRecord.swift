import DurableFiles
import LanguageModels
import ProcessGroups
import RunProvenance
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
    public let score: Double
    public let asked: Int
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
        score = outcome.score
        asked = outcome.asked
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
    public var schemaVersion = 3
    public let model: ModelIdentity
    /// The attentions with their parameters, and the tasks, each as a digest.
    public let methods, tasks: String
    public let instructionSet, precision: String
    public let threads: Int

    public init(
        model: ModelIdentity, methods: String, tasks: String, instructionSet: String, precision: String, threads: Int
    ) {
        self.model = model
        self.methods = methods
        self.tasks = tasks
        self.instructionSet = instructionSet
        self.precision = precision
        self.threads = threads
    }

    /// What ranks that share the work must have alike, beside the model.
    public var facts: [SharedFact] { [SharedFact("methods", methods), SharedFact("tasks", tasks)] }

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
