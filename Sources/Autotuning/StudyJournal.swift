import AttentionCore
import AttentionKernels
import DurableFiles
import SampleAttention

/// What a study is about: a journal continues only the study it was begun for.
public struct StudyHeader: Hashable, JournalHeader {
    public var schemaVersion = 1
    public var model: TunedConfig.ModelIdentity
    public var textSHA256: [String]
    public var seed: UInt64
    public var trialsPerHead: Int
    public var space: SearchSpace
    /// Other instructions, and other operands, round differently, and a study must be repeatable.
    public var instructionSet: String
    public var precision: Precision

    public init(
        model: TunedConfig.ModelIdentity, textSHA256: [String], seed: UInt64, trialsPerHead: Int, space: SearchSpace,
        instructionSet: String, precision: Precision
    ) {
        self.model = model
        self.textSHA256 = textSHA256
        self.seed = seed
        self.trialsPerHead = trialsPerHead
        self.space = space
        self.instructionSet = instructionSet
        self.precision = precision
    }

    public func difference(from other: StudyHeader) -> JournalDifference? {
        func texts(_ header: StudyHeader) -> String { header.textSHA256.map { String($0.prefix(12)) }.joined(separator: ", ") }
        return .first(of: [
            ("schemaVersion", "\(schemaVersion)", "\(other.schemaVersion)"), ("model", model.summary, other.model.summary),
            ("textSHA256", texts(self), texts(other)), ("seed", "\(seed)", "\(other.seed)"),
            ("trialsPerHead", "\(trialsPerHead)", "\(other.trialsPerHead)"), ("space", "\(space)", "\(other.space)"),
            ("instructionSet", instructionSet, other.instructionSet), ("precision", precision.rawValue, other.precision.rawValue),
        ])
    }
}

/// The trials of a study on disk. Every append brings one trial of each of the model's query heads; what a crash leaves of a
/// trial of some heads only is measured again.
public typealias StudyJournal = ResultJournal<StudyHeader, FrozenTrial>

extension ResultJournal where Header == StudyHeader, Record == FrozenTrial {
    /// Begins or continues the journal of a study.
    ///
    /// - Throws: `InputError` as `init(path:header:resume:accept:)`, and for trials out of order.
    public convenience init(study path: String, header: StudyHeader, resume: Bool) throws(InputError) {
        try self.init(path: path, header: header, resume: resume) { trials throws(InputError) in
            let whole = trials.count - trials.count % header.model.queryHeads
            try Self.checkOrder(trials.prefix(whole), heads: header.model.queryHeads, trialsPerHead: header.trialsPerHead, path: path)
            return whole
        }
    }

    /// The journal grows by all heads of a layer's next trial; counting on that decides what is still to be measured.
    private static func checkOrder(_ trials: ArraySlice<FrozenTrial>, heads: Int, trialsPerHead: Int, path: String) throws(InputError) {
        var next: [[Int]: Int] = [:]
        for (index, trial) in trials.enumerated() {
            let layer = [trial.length, trial.layer]
            let number = next[layer, default: 0]
            let head = index % heads
            guard trial.head == head, trial.number == number, number < trialsPerHead else {
                throw InputError(
                    .invalidData, file: path, field: "line \(index + 2)",
                    value: "trial \(trial.number) of layer \(trial.layer), head \(trial.head)",
                    rule: "must be the next trial of its layer's next head")
            }
            if head == heads - 1 { next[layer] = number + 1 }
        }
    }
}
