import AttentionCore
import AttentionKernels
import Autotuning
import DurableFiles
import LanguageModels
import SampleAttention

/// Tunes a whole model: what each head may be, what each head's choice does to the model, and what all heads get at each length.
///
/// 1. **Search** (`HeadSearch`): candidates on each head's real Q, K and V; fronts of predicted time against output error.
/// 2. **Predictions** (`HeadPredicting`): what a few of each head's options cost the model, from one pass backward a prompt, on the text as
///    it is and on the same text with things to look up; **probes** (`HeadProbing`): the options of the heads that cost most followed to the
///    scores of every position. From them, what an output error of that head costs the model.
/// 3. **Allocation** (`ConfigSearch`): the cheapest choice for all heads within a total damage, run on whole prompts of each
///    length and corrected until the floor holds there.
/// 4. **Held-out check** (`HeldOutCheck`): the config on text and lengths the study has not seen.
///
/// Every measurement is an item of `StudyWork`: journalled before it is used, and used instead of being made again.
public struct TuningStudy {
    private let model: any TunableModel
    private let settings: TuningSettings
    private let latency: LatencyModel
    private let work: StudyWork
    private let warmStart: TunedConfig?
    /// Ends search, probes and checks early.
    private let time: TimeLimit

    /// Where a study is.
    public struct Progress: Sendable {
        public enum Phase: String, Sendable { case search, gradients, probes, allocation, heldOut = "held-out check" }
        public let phase: Phase
        public let done, total: Int
        public let status: String

        public init(phase: Phase, done: Int, total: Int, status: String) {
            self.phase = phase
            self.done = done
            self.total = total
            self.status = status
        }
    }

    /// What a study found.
    public struct Result: Sendable {
        public let buckets: [TunedConfig.Bucket]
        /// Every trial, by length, layer and head.
        public let trials: [FrozenTrial]
        /// Every option whose cost was predicted or probed: its trial and what it spoils.
        public let options: [OptionDamage]
        public let steps: [AllocationStep]
        /// True when time ran out before everything was measured.
        public let isCutShort: Bool
    }

    /// An option whose cost to the model is known.
    public struct OptionDamage: Sendable, Encodable {
        public let layer, head: Int
        public let trial: FrozenTrial
        /// Nats a token that the loss grows by, at least KL; and KL at the tokens of answers: as measured where the option was followed through
        /// the model, else as predicted.
        public let lossDamage, answerDamage: Double
        public let isMeasured: Bool
        /// Nil where only probes know.
        public let predictedLossDamage, predictedAnswerDamage: Double?

        init(_ option: HeadSensitivities.Option) {
            (layer, head, trial) = (option.head.layer, option.head.head, option.trial)
            (lossDamage, answerDamage) = (option.damage.loss, option.damage.answers)
            isMeasured = option.measured != nil
            (predictedLossDamage, predictedAnswerDamage) = (option.predicted?.loss, option.predicted?.answers)
        }
    }

    /// - Parameters:
    ///   - journal: nil keeps nothing on disk.
    ///   - warmStart: an earlier config of this model, whose parameters are tried first.
    ///   - minutes: about how long search, probes and allocation may take, from now on; nil lets them finish.
    ///   - clock: what minutes are measured by.
    public init(
        model: any TunableModel, settings: TuningSettings, latency: LatencyModel, journal: StudyJournal? = nil,
        warmStart: TunedConfig? = nil, minutes: Double? = nil, clock: any Clock<Duration> = ContinuousClock()
    ) {
        precondition(!settings.lengths.isEmpty && settings.lengths == settings.lengths.sorted(), "lengths ascend")
        self.model = model
        self.settings = settings
        self.latency = latency
        self.warmStart = warmStart
        work = StudyWork(journal: journal)
        time = TimeLimit(minutes: minutes, clock: clock)
    }

    /// Prompts of one length, interleaved ones first, then plain ones. Books begin and end with what is not like them, so those are from within.
    private static func prompts(_ text: TuningText, length: Int, seed: UInt64) throws(InputError) -> [TuningPrompt] {
        let counts = TuningText.promptCounts(length: length)
        var prompts: [TuningPrompt] = []
        for number in 0..<counts.interleaved { prompts.append(try text.interleaved(length: length, seed: seed, number: number)) }
        for index in 0..<counts.plain {
            prompts.append(try text.plain(length: length, position: Double(index + 1) / Double(counts.plain + 1)))
        }
        return prompts
    }

    /// Finds out before anything is measured that the text does not do for every length.
    ///
    /// - Throws: `InputError` for a text that is too short, or a length in which nothing can be asked.
    public static func checkPrompts(_ text: TuningText, settings: TuningSettings) throws(InputError) {
        for length in settings.lengths { _ = try prompts(text, length: length, seed: settings.seed) }
    }

    /// Runs the study.
    ///
    /// - Throws: `InputError` for texts that are too short, and as `TunableModel.densePrefill`.
    public func run(_ text: TuningText, progress: @escaping (Progress) -> Void = { _ in }) throws -> Result {
        var steps: [AllocationStep] = []
        var buckets: [TunedConfig.Bucket] = []
        var sensitivities: HeadSensitivities?
        var survivors: [HeadIndex: [SampleAttentionParameters]]?
        var damage = 1.0
        for length in settings.lengths {
            let prompts = try Self.prompts(text, length: length, seed: settings.seed)
            let retrieval = sensitivities?.retrievalHeads(floor: settings.floor)
            let firstDepth = retrieval.map { $0.map(\.layer).min() } ?? 0
            // All heads at the shortest length, on text of both kinds; then those that look things up, on what they have to look up.
            let probedPrompts = prompts.count { $0.kind == .interleaved } + (retrieval == nil ? 1 : 0)
            let first = try search(prompts[0], survivors: survivors, probedFrom: firstDepth, progress: progress)
            let others = try prompts.indices.dropFirst().map { index in
                try model.densePrefill(prompts[index].tokens, probedFrom: index < probedPrompts ? firstDepth : nil, tap: nil)
            }
            let prefilled = zip(prompts, [first] + others).map { PrefilledPrompt(prompt: $0, dense: $1) }
            let probed = try probe(Array(prefilled.prefix(probedPrompts)), heads: retrieval, length: length, progress: progress)
            let known = sensitivities?.replacing(probed) ?? probed
            if sensitivities == nil { sensitivities = known }
            let search = ConfigSearch(
                layerCount: model.layerCount, layers: model.tunedLayers, queryHeads: model.attentionShape(tokens: length).queryHeads,
                settings: settings, work: work,
                sensitivities: known, length: length)
            let total = settings.lengths.count * settings.checksPerLength
            progress(.init(phase: .allocation, done: steps.count, total: total, status: "\(length) tokens"))
            var tried = 0
            let outcome = try search.run(
                on: prefilled, denseMilliseconds: denseMilliseconds(length), start: damage, isOver: { time.isOver(1) }
            ) { status in
                tried += 1
                progress(.init(phase: .allocation, done: steps.count + tried, total: total, status: status))
            }
            steps += outcome.steps
            if outcome.damage > 0 { damage = outcome.damage }
            buckets.append(TunedConfig.Bucket(length: length, layers: outcome.heads))
            survivors = headSearch.survivors(length: length)
        }
        return Result(
            buckets: buckets,
            trials: settings.lengths.flatMap { work.trials.trials(length: $0).sorted { $0.key < $1.key }.flatMap(\.value) },
            options: (sensitivities?.options ?? []).map(OptionDamage.init), steps: steps, isCutShort: time.isReached)
    }

    private func search(
        _ prompt: TuningPrompt, survivors: [HeadIndex: [SampleAttentionParameters]]?, probedFrom firstDepth: Int?,
        progress: @escaping (Progress) -> Void
    ) throws -> any DensePrefill {
        let total = model.tunedLayers.count * headSearch.rounds(survivors)
        let workspace = AttentionWorkspace()
        var done = 0
        return try model.densePrefill(
            prompt.tokens, probedFrom: firstDepth,
            tap: AttentionTap { attention in
                try headSearch.search(
                    attention, survivors: survivors, workspace: workspace, isOver: { time.isOver(survivors == nil ? 0.3 : 0.9) }
                ) {
                    done += 1
                    progress(
                        .init(
                            phase: .search, done: min(done, total), total: total,
                            status: "\(prompt.tokens.count) tokens, layer \(attention.layer)"))
                }
            })
    }

    private var headSearch: HeadSearch {
        HeadSearch(kernel: model.kernel, settings: settings, latency: latency, trials: work.trials, warmStart: warmStart)
    }

    /// - Parameter heads: those whose options are all probed; nil predicts those of all heads, and probes the ones that cost most.
    private func probe(
        _ prefilled: [PrefilledPrompt], heads: Set<HeadIndex>?, length: Int, progress: @escaping (Progress) -> Void
    ) throws -> HeadSensitivities {
        let options = work.trials.trials(length: length)
            .filter { heads?.contains($0.key) ?? true }
            .mapValues { HeadProbing.options($0, count: settings.probesPerHead) }
        let losses = try prefilled.map { Quality(try $0.dense.fullAttention(), prompt: $0.prompt).denseLoss }
        let denseLoss = losses.reduce(0, +) / Double(max(1, losses.count))
        func sensitivities() -> HeadSensitivities {
            HeadSensitivities(options, work: work, prompts: prefilled.map(\.prompt), floor: settings.floor, denseLoss: denseLoss)
        }
        var probed = options
        if heads == nil {
            let predicting = HeadPredicting(work: work.predictions, seed: settings.seed)
            try predicting.run(options, on: prefilled, isOver: { time.isOver(0.7) }) { share in
                progress(.init(phase: .gradients, done: Int(100 * share), total: 100, status: "\(length) tokens"))
            }
            let known = sensitivities()
            let chosen = predicting.probed(
                options.keys.sorted(), damage: { known.worst($0, floor: settings.floor, denseLoss: denseLoss) },
                answers: { known.worstAtAnswers($0) })
            probed = options.filter { chosen.contains($0.key) }
        }
        try HeadProbing(pool: model.kernel.pool, work: work.probes).run(probed, on: prefilled, isOver: { time.isOver(0.7) }) {
            progress(.init(phase: .probes, done: $0.done, total: $0.total, status: "layer \($0.item.layer), head \($0.item.head)"))
        }
        return sensitivities()
    }

    /// Of one head with full attention.
    private func denseMilliseconds(_ length: Int) -> Double {
        1000 * latency.seconds(HeadWork(nil, pattern: .dense, shape: model.attentionShape(tokens: length)))
    }
}
