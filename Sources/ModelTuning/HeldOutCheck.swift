import AttentionCore
import AttentionKernels
import Autotuning
import DurableFiles
import HeadProfiling
import LanguageModels
import ModelFormats
import SampleAttention

/// A config on text it was not tuned on, against dense attention: at the tuned lengths and between them.
public struct HeldOutCheck {
    private let model: any TunableModel
    private let config: TunedConfig
    private let seed: UInt64
    private let work: StudyWork
    /// Tells the records of this config from those of others in the same journal.
    private let digest: String

    /// What a check found.
    public struct Outcome: Sendable {
        public let rows: [Row]
        /// Every head at every tuned length.
        public let heads: [HeadTransfer]
    }

    /// The floors that the rows of a tuned length miss together, in words; lengths in between are shown and not judged, for no
    /// prompts of theirs were ever tried.
    public static func misses(_ rows: [Row], floor: QualityFloor) -> [String] {
        let lengths = Set(rows.filter(\.isTunedLength).map(\.length)).sorted()
        return lengths.flatMap { length in
            QualityFloor.misses(rows.filter { $0.length == length }.map(\.quality), floor: floor).map { "\(length) tokens: \($0)" }
        }
    }

    /// The heads that keep less of their mass than the floor asks for, in words.
    public static func misses(_ heads: [HeadTransfer], floor: QualityFloor) -> [String] {
        guard let least = floor.mass else { return [] }
        return heads.filter { $0.heldOut.meanMass < least }.map {
            "\($0.length) tokens, layer \($0.layer), head \($0.head): mean mass \(($0.heldOut.meanMass * 1000).rounded() / 1000), floor \(least)"
        }
    }

    /// - Parameter journal: of the study that the config is from; nil keeps nothing on the disk.
    public init(model: any TunableModel, config: TunedConfig, seed: UInt64, journal: StudyJournal? = nil) {
        self.model = model
        self.config = config
        self.seed = seed
        work = StudyWork(journal: journal)
        digest = config.digest
    }

    /// One prompt.
    public struct Row: Sendable, Codable {
        public let text: String
        public let kind: TuningPrompt.Kind
        public let length: Int
        /// False for a length between the tuned ones.
        public let isTunedLength: Bool
        public let quality: Quality
        public let density: Double
        public let prefillSecondsDense, prefillSecondsTuned, attentionSecondsDense, attentionSecondsTuned: Double
    }

    /// The tuned lengths, and one between the two shortest of them: parameters for it follow from its neighbours.
    private var lengths: [Int] { Self.lengths(tuned: config.buckets.map(\.length)) }

    private static func lengths(tuned: [Int]) -> [Int] {
        guard tuned.count >= 2 else { return tuned }
        return (tuned + [(tuned[0] + tuned[1]) / 2]).sorted()
    }

    /// Whole prompts at the tuned lengths and between them, and every head at every tuned length on the plain prompt in the middle, in the
    /// otherwise dense model: measured while full attention passes by for the whole prompt, or by itself where that is known.
    ///
    /// - Parameter text: another one than was tuned on, or the same: all prompts are then from other places.
    /// - Throws: `InputError` for a text that is too short, and as `TunableModel.densePrefill`.
    public func run(_ text: TuningText, progress: (TuningStudy.Progress) -> Void = { _ in }) throws -> Outcome {
        let prompts = try lengths.flatMap { try Self.prompts(text, length: $0, seed: seed) }
        let byTitle = Dictionary(uniqueKeysWithValues: prompts.map { ($0.title, $0) })
        let total = prompts.count + config.buckets.count
        let shown = Dictionary(
            uniqueKeysWithValues: config.buckets.map { bucket in
                let plain = prompts.filter { $0.kind == .plain && $0.tokens.count == bucket.length }
                return (bucket.length, plain[plain.count / 2])
            })
        var transfers: [Int: [HeadTransfer]] = [:]
        let rows = try work.heldOut.run(
            prompts.map { HeldOutItem(config: digest, prompt: $0.title) },
            progress: {
                let prompt = byTitle[$0.item.prompt]!
                let status = "\(prompt.tokens.count) tokens, \(prompt.kind.rawValue)"
                progress(.init(phase: .heldOut, done: $0.done, total: total, status: status))
            }
        ) { item in
            let prompt = byTitle[item.prompt]!
            let isShown = shown[prompt.tokens.count]?.title == prompt.title
            let row = try row(prompt, tap: isShown ? tap(prompt) { transfers[prompt.tokens.count, default: []] += $0 } : nil)
            return HeldOutRecord(config: item.config, prompt: item.prompt, row: row)
        }
        let heads = try work.transfers.run(
            config.buckets.map { TransferItem(config: digest, length: $0.length) },
            progress: {
                let done = prompts.count + $0.done
                progress(.init(phase: .heldOut, done: done, total: total, status: "\($0.item.length) tokens, heads"))
            }
        ) { item in
            if transfers[item.length] == nil {
                let prompt = shown[item.length]!
                _ = try model.densePrefill(
                    prompt.tokens, probedFrom: nil, tap: tap(prompt) { transfers[prompt.tokens.count, default: []] += $0 })
            }
            return TransferRecord(config: item.config, length: item.length, heads: transfers[item.length] ?? [])
        }
        return Outcome(rows: rows.compactMap { $0?.row }, heads: heads.flatMap { $0?.heads ?? [] })
    }

    /// Finds out before anything is tuned that the text does not do for every length.
    ///
    /// - Throws: `InputError` for a text that is too short, or a length in which nothing can be asked.
    public static func checkPrompts(_ text: TuningText, tunedLengths: [Int], seed: UInt64) throws(InputError) {
        for length in lengths(tuned: tunedLengths) { _ = try prompts(text, length: length, seed: seed) }
    }

    private static func prompts(_ text: TuningText, length: Int, seed: UInt64) throws(InputError) -> [TuningPrompt] {
        let counts = TuningText.promptCounts(length: length)
        var prompts: [TuningPrompt] = []
        // From within, as those that are tuned on: books begin and end with what is not like them.
        for index in 0..<counts.plain {
            prompts.append(try text.plain(length: length, position: (Double(index) + 0.5) / Double(counts.plain)))
        }
        for number in 0..<counts.interleaved { prompts.append(try text.interleaved(length: length, seed: seed, number: 100 + number)) }
        return prompts
    }

    private func row(_ prompt: TuningPrompt, tap: AttentionTap?) throws -> Row {
        let length = prompt.tokens.count
        let dense = try model.densePrefill(prompt.tokens, probedFrom: nil, tap: tap)
        let tuned = try dense.sparsePrefill(.tuned(config))
        return Row(
            text: prompt.name, kind: prompt.kind, length: length, isTunedLength: config.buckets.contains { $0.length == length },
            quality: Quality(tuned.divergence, prompt: prompt), density: tuned.cost.density,
            prefillSecondsDense: dense.cost.seconds, prefillSecondsTuned: tuned.cost.seconds,
            attentionSecondsDense: dense.cost.attentionSeconds, attentionSecondsTuned: tuned.cost.attentionSeconds)
    }

    /// Measures the heads of each layer as it passes by; `body` gets those of a layer.
    private func tap(_ prompt: TuningPrompt, _ body: @escaping ([HeadTransfer]) -> Void) -> AttentionTap {
        let length = prompt.tokens.count
        let layers = config.buckets.first { $0.length == length }!.layers
        let workspace = AttentionWorkspace()
        return AttentionTap { [kernel = model.kernel] attention in
            let meter = try HeadMeter(attention, kernel: kernel, workspace: workspace)
            let heads = layers[attention.layer]
            body(
                try meter.measure(heads.map(\.parameters)).enumerated().map { head, one in
                    let heldOut = TunedConfig.Measurement(
                        meanMass: one.mass.mean, p1Mass: one.mass.p1, minMass: one.mass.minimum, density: one.density,
                        outputError: one.outputError)
                    return HeadTransfer(
                        length: length, layer: attention.layer, head: head, tuned: heads[head].measured, heldOut: heldOut)
                })
        }
    }
}

/// A row of a held-out check in a journal.
struct HeldOutRecord: Sendable, Codable {
    /// See `TunedConfig.digest`.
    let config: String
    /// See `TuningPrompt.title`.
    let prompt: String
    let row: HeldOutCheck.Row
}

/// Every head's transfer at one length, in a journal.
struct TransferRecord: Sendable, Codable {
    /// See `TunedConfig.digest`.
    let config: String
    let length: Int
    let heads: [HeadTransfer]
}

extension TunedConfig {
    /// Of all that decides how a prompt attends, and what it was chosen by.
    fileprivate var digest: String {
        struct Choice: Encodable {
            let denseBelow: Int
            let defaults: SampleAttentionParameters
            let buckets: [Bucket]
        }
        return sha256(ofJSON: Choice(denseBelow: denseBelow, defaults: defaults, buckets: buckets))
    }
}
