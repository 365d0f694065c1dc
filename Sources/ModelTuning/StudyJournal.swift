import AttentionCore
import AttentionKernels
import Autotuning
import DurableFiles
import RunProvenance
import SampleAttention

/// What a study is about: a journal continues only the study it was begun for.
public struct StudyHeader: Hashable, JournalHeader {
    public var schemaVersion = 2
    public var model: ModelIdentity
    public var textSHA256: [String]
    public var settings: TuningSettings
    /// Other instructions, and other operands, round differently, and a study must be repeatable.
    public var instructionSet: String
    public var precision: Precision
    /// What the search minimises; a study ends with the model it began with.
    public var secondsPerUnit: [String: Double]
    /// Of the earlier config that is tried first; nil without one.
    public var warmStartSHA256: String?

    public init(
        model: ModelIdentity, textSHA256: [String], settings: TuningSettings, kernel: AttentionKernel, latency: LatencyModel,
        warmStartSHA256: String? = nil
    ) {
        self.model = model
        self.textSHA256 = textSHA256
        self.settings = settings
        instructionSet = kernel.instructionSet.rawValue
        precision = kernel.precision
        secondsPerUnit = latency.journalled
        self.warmStartSHA256 = warmStartSHA256
    }

    /// The study's latency model, which may have been fitted before the machine's present one.
    ///
    /// - Parameter latency: tells the machine and the head dimension.
    /// - Throws: `InputError` (`invalidData`) for costs that no fit gives.
    public func latency(like latency: LatencyModel, path: String) throws(InputError) -> LatencyModel {
        try LatencyModel(journalled: secondsPerUnit, like: latency, path: path)
    }

    public func difference(from other: StudyHeader) -> JournalDifference? {
        func texts(_ header: StudyHeader) -> String { header.textSHA256.map { String($0.prefix(12)) }.joined(separator: ", ") }
        let fields = [
            ("schemaVersion", "\(schemaVersion)", "\(other.schemaVersion)"), ("model", model.summary, other.model.summary),
            ("textSHA256", texts(self), texts(other)),
            ("instructionSet", instructionSet, other.instructionSet), ("precision", precision.rawValue, other.precision.rawValue),
            ("warmStartSHA256", warmStartSHA256 ?? "none", other.warmStartSHA256 ?? "none"),
        ]
        return .first(of: fields) ?? settings.difference(from: other.settings)
    }
}

extension LatencyModel {
    /// What a journal's header says of the costs: seconds by a term's name.
    var journalled: [String: Double] { Dictionary(uniqueKeysWithValues: secondsPerUnit.map { ($0.key.rawValue, $0.value) }) }

    /// - Throws: `InputError` (`invalidData`) for costs that no fit gives.
    init(journalled costs: [String: Double], like latency: LatencyModel, path: String) throws(InputError) {
        var secondsPerUnit: [HeadWork.Term: Double] = [:]
        for (name, cost) in costs.sorted(by: { $0.key < $1.key }) {
            guard let term = HeadWork.Term(rawValue: name), cost >= 0, cost.isFinite else {
                throw InputError(
                    .invalidData, file: path, field: "line 1, secondsPerUnit.\(name)", value: "\(cost)",
                    rule: "must be a known term's seconds, not negative")
            }
            secondsPerUnit[term] = cost
        }
        self.init(machine: latency.machine, headDimension: latency.headDimension, secondsPerUnit: secondsPerUnit)
    }
}

/// One thing a study measured: exactly one of its fields is there.
public struct StudyRecord: Codable, Sendable {
    var trial: FrozenTrial?
    var prediction: HeadPrediction?
    var probe: HeadProbe?
    var check: ConfigCheck?
    var heldOut: HeldOutRecord?
    var transfer: TransferRecord?
}

public typealias StudyJournal = ResultJournal<StudyHeader, StudyRecord>

extension ResultJournal where Header == StudyHeader, Record == StudyRecord {
    /// Begins or continues the journal of a study.
    ///
    /// - Throws: `InputError` as `init(file:header:resume:accept:)`, and for records of heads that the model does not have or with
    ///   numbers that no measurement gives.
    public convenience init(study file: consuming JournalFile, header: StudyHeader, resume: Bool) throws(InputError) {
        let path = file.path
        try self.init(file: file, header: header, resume: resume) { records throws(InputError) in
            try Self.require(records, path: path) { _, record in record.fault(header.model).map { RecordFault(rule: $0) } }
            return records.count
        }
    }
}

extension StudyRecord {
    /// What is wrong with a record, in words; nil when a study may have written it.
    fileprivate func fault(_ model: ModelIdentity) -> String? {
        if [trial != nil, prediction != nil, probe != nil, check != nil, heldOut != nil, transfer != nil].count(where: \.self) != 1 {
            return "must be one trial, prediction, probe, check, heldOut or transfer"
        }
        let heads = [
            trial.map { ($0.layer, $0.head) }, prediction.map { ($0.layer, $0.head) }, probe.map { ($0.layer, $0.head) },
        ].compactMap(\.self)
        for (layer, head) in heads where !(0..<model.layers).contains(layer) || !(0..<model.queryHeads).contains(head) {
            return "layer \(layer), head \(head) must be one of the model's"
        }
        if let check, check.heads.map(\.count) != Array(repeating: model.queryHeads, count: model.layers) {
            return "heads must be those of the model"
        }
        if let transfer {
            let found = transfer.heads.map { HeadIndex(layer: $0.layer, head: $0.head) }
            // All heads of some layers: those with a window of their own are left out.
            let layers = Set(found.map(\.layer))
            let places = (0..<model.layers).filter(layers.contains).flatMap { layer in
                (0..<model.queryHeads).map { HeadIndex(layer: layer, head: $0) }
            }
            if found != places || transfer.heads.contains(where: { $0.length != transfer.length }) {
                return "heads must be those of the model"
            }
        }
        if let damage = prediction?.damage {
            let divergences = [damage.divergence, damage.answerDivergence]
            if !damage.loss.isFinite || !divergences.allSatisfy({ $0 >= 0 && $0.isFinite }) {
                return "divergences must not be negative"
            }
        }
        if let row = heldOut?.row {
            let seconds = [row.prefillSecondsDense, row.prefillSecondsTuned, row.attentionSecondsDense, row.attentionSecondsTuned]
            if !seconds.allSatisfy({ $0 >= 0 }) { return "seconds must not be negative" }
        }
        return trial?.fault
    }
}

extension FrozenTrial {
    /// What is wrong with the numbers of a record, in words; nil when a search may have written it.
    var fault: String? {
        let shares = [measured.meanMass, measured.p1Mass, measured.minMass, measured.density]
        if !shares.allSatisfy({ (0...1).contains($0) }) { return "shares must be from 0 to 1" }
        let amounts = [measured.outputError, measured.milliseconds]
        if !amounts.allSatisfy({ $0.map { $0 >= 0 && $0.isFinite } ?? false }) {
            return "outputError and milliseconds must not be negative"
        }
        return nil
    }
}
