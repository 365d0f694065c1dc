import AttentionCore
import Autotuning
import DurableFiles
import SampleAttention

/// The work of a study, by kind. No record depends on another item of its kind.
struct StudyWork {
    let trials: WorkExecutor<TrialItem, FrozenTrial>
    let predictions: WorkExecutor<ProbeItem, HeadPrediction>
    let probes: WorkExecutor<ProbeItem, HeadProbe>
    let checks: WorkExecutor<CheckItem, ConfigCheck>
    let heldOut: WorkExecutor<HeldOutItem, HeldOutRecord>
    let transfers: WorkExecutor<TransferItem, TransferRecord>

    /// - Parameter journal: of all kinds; nil keeps nothing on the disk.
    init(journal: StudyJournal?) {
        trials = Self.executor(journal, TrialItem.init, from: \.trial) { StudyRecord(trial: $0) }
        predictions = Self.executor(journal, ProbeItem.init, from: \.prediction) { StudyRecord(prediction: $0) }
        probes = Self.executor(journal, ProbeItem.init, from: \.probe) { StudyRecord(probe: $0) }
        checks = Self.executor(journal, CheckItem.init, from: \.check) { StudyRecord(check: $0) }
        heldOut = Self.executor(journal, HeldOutItem.init, from: \.heldOut) { StudyRecord(heldOut: $0) }
        transfers = Self.executor(journal, TransferItem.init, from: \.transfer) { StudyRecord(transfer: $0) }
    }

    private static func executor<Item, Record>(
        _ journal: StudyJournal?, _ item: (Record) -> Item, from field: (StudyRecord) -> Record?,
        to record: @escaping @Sendable (Record) -> StudyRecord
    ) -> WorkExecutor<Item, Record> {
        WorkExecutor(recorded: (journal?.recorded ?? []).compactMap(field).map { (item($0), $0) }) { records throws(InputError) in
            try journal?.append(records.map(record))
        }
    }
}

/// One candidate on one head of a prompt.
struct TrialItem: Hashable, Sendable {
    let length, layer, head: Int
    let parameters: SampleAttentionParameters
}

/// One head of the otherwise dense model, followed to the scores of a prompt.
struct ProbeItem: Hashable, Sendable {
    let length, layer, head: Int
    /// See `TuningPrompt.title`.
    let prompt: String
    let parameters: SampleAttentionParameters
}

/// Parameters of all heads on a whole prompt.
struct CheckItem: Hashable, Sendable {
    let prompt: String
    /// By layer and head.
    let heads: [[SampleAttentionParameters]]
}

/// A config on a prompt that it was not tuned on.
struct HeldOutItem: Hashable, Sendable {
    /// See `TunedConfig.digest`.
    let config: String
    /// See `TuningPrompt.title`.
    let prompt: String
}

/// Every head of a config at one of its lengths, on text that it was not tuned on.
struct TransferItem: Hashable, Sendable {
    let config: String
    let length: Int
}

extension TrialItem {
    init(_ trial: FrozenTrial) {
        self.init(length: trial.length, layer: trial.layer, head: trial.head, parameters: trial.parameters)
    }
}

extension ProbeItem {
    init(_ probe: HeadProbe) {
        self.init(length: probe.length, layer: probe.layer, head: probe.head, prompt: probe.prompt, parameters: probe.parameters)
    }

    init(_ prediction: HeadPrediction) {
        self.init(
            length: prediction.length, layer: prediction.layer, head: prediction.head, prompt: prediction.prompt,
            parameters: prediction.parameters)
    }

    init(_ head: HeadIndex, _ parameters: SampleAttentionParameters, prompt: TuningPrompt) {
        self.init(length: prompt.tokens.count, layer: head.layer, head: head.head, prompt: prompt.title, parameters: parameters)
    }
}

extension CheckItem {
    init(_ check: ConfigCheck) { self.init(prompt: check.prompt, heads: check.heads) }
}

extension HeldOutItem {
    init(_ record: HeldOutRecord) { self.init(config: record.config, prompt: record.prompt) }
}

extension TransferItem {
    init(_ record: TransferRecord) { self.init(config: record.config, length: record.length) }
}

extension WorkExecutor where Item == TrialItem, Record == FrozenTrial {
    /// The trials of a length by head, in an order that does not depend on when they were made.
    func trials(length: Int) -> [HeadIndex: [FrozenTrial]] {
        let sorted = records.values.filter { $0.length == length }.sorted {
            ($0.number, $0.cost, $0.error, $0.parameters) < ($1.number, $1.cost, $1.error, $1.parameters)
        }
        return Dictionary(grouping: sorted) { HeadIndex(layer: $0.layer, head: $0.head) }
    }
}
