import AttentionCore
import AttentionKernels
import Autotuning
import DurableFiles
import LanguageModels
import SampleAttention

/// Tunes a whole model: what each head may be, what each head's choice does to the model, and what all heads get at each length.
///
/// 1. **Search** (`HeadSearch`): candidates on each head's real Q, K and V; fronts of predicted time against output error.
/// 2. **Predictions** (`HeadPredicting`): what every option on those fronts costs the model, from one pass backward a prompt, on text with
///    things to look up and on the text as it is; long prompts take those of the length before. **Probes** (`HeadProbing`): a few
///    options of the few heads that cost most (`ProbeChoice`), followed to the scores of every position, which correct the predictions of
///    their head (`HeadCalibration`).
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
        /// Every option that was judged, by length, layer and head.
        public let options: [OptionDamage]
        public let steps: [AllocationStep]
        /// True when time ran out before everything was measured.
        public let isCutShort: Bool
    }

    /// An option and what it costs the model, in nats.
    public struct OptionDamage: Sendable, Encodable {
        public let layer, head: Int
        public let trial: FrozenTrial
        /// Loss a token (at least KL), and KL at the tokens of answers: as predicted, and corrected by what was probed of the head.
        public let loss, answerDivergence: Double
        /// KL, over all positions and at answers, on one prompt, for options that were followed through the model there.
        public let probed: Probed?

        public struct Probed: Sendable, Encodable {
            public let predictedDivergence, divergence, predictedAnswerDivergence, answerDivergence: Double
        }

        init(_ option: HeadDamages.Option) {
            (layer, head, trial) = (option.head.layer, option.head.head, option.trial)
            (loss, answerDivergence) = (option.damage.text, option.damage.answers)
            probed = option.probed.map {
                Probed(
                    predictedDivergence: $0.predicted.text, divergence: $0.measured.text,
                    predictedAnswerDivergence: $0.predicted.answers, answerDivergence: $0.measured.answers)
            }
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

    /// What options are predicted on: the first interleaved prompt, and plain ones from between those that configs are tried on, which then say
    /// what a config costs that was not chosen by them.
    ///
    /// - Parameter isShortest: there several plain prompts cost little, and what they lose is handed on to longer ones.
    private static func predictedPrompts(
        _ text: TuningText, length: Int, isShortest: Bool, seed: UInt64
    ) throws(InputError) -> [TuningPrompt] {
        let checked = TuningText.promptCounts(length: length).plain
        let count = isShortest ? min(3, checked) : 1
        var prompts = [try text.interleaved(length: length, seed: seed, number: 0)]
        for index in 0..<count {
            let gap = (2 * index + 1) * (checked + 1) / (2 * count)
            prompts.append(try text.plain(length: length, position: (Double(gap) + 0.5) / Double(checked + 1)))
        }
        return prompts
    }

    /// Finds out before anything is measured that the text does not do for every length.
    ///
    /// - Throws: `InputError` for a text that is too short, or a length in which nothing can be asked.
    public static func checkPrompts(_ text: TuningText, settings: TuningSettings) throws(InputError) {
        for length in settings.lengths {
            _ = try prompts(text, length: length, seed: settings.seed)
            _ = try predictedPrompts(text, length: length, isShortest: length == settings.lengths[0], seed: settings.seed)
        }
    }

    /// Runs the study.
    ///
    /// - Throws: `InputError` for texts that are too short, and as `TunableModel.densePrefill`.
    public func run(_ text: TuningText, progress: @escaping (Progress) -> Void = { _ in }) throws -> Result {
        var steps: [AllocationStep] = []
        var buckets: [TunedConfig.Bucket] = []
        var damages: HeadDamages?
        var options: [HeadDamages.Option] = []
        var survivors: [HeadIndex: [SampleAttentionParameters]]?
        var allotment = DamageAllotment(text: settings.headroom, answers: settings.headroom)
        for length in settings.lengths {
            let prompts = try Self.prompts(text, length: length, seed: settings.seed)
            let predicted = try Self.predictedPrompts(
                text, length: length, isShortest: length == settings.lengths[0], seed: settings.seed)
            // Any head at the shortest length; then those that look things up.
            let firstProbed = damages.map { $0.retrievalHeads.map(\.layer).min() } ?? 0
            var tap: AttentionTap? = self.tap(prompts[0], survivors: survivors, progress: progress)
            if isPredicted(length) {
                // Nothing is kept of a prompt's layers while heads are searched, and nothing of other prompts while gradients are taken.
                _ = try model.densePrefill(prompts[0].tokens, probedFrom: nil, tap: tap)
                tap = nil
                try predict(candidates(length), on: predicted, length: length, progress: progress)
            }
            let prefilled = try prompts.enumerated().map { number, prompt in
                let isFirst = number == 0
                return PrefilledPrompt(
                    prompt: prompt,
                    dense: try model.densePrefill(prompt.tokens, probedFrom: isFirst ? firstProbed : nil, tap: isFirst ? tap : nil))
            }
            let known = try judge(candidates(length), prefilled, predicted: predicted, earlier: damages, length: length, progress: progress)
            damages = known
            options += known.options
            let search = ConfigSearch(
                layerCount: model.layerCount, layers: model.tunedLayers, queryHeads: model.attentionShape(tokens: length).queryHeads,
                settings: settings, work: work, damages: known, length: length)
            let total = settings.lengths.count * settings.checksPerLength
            progress(.init(phase: .allocation, done: steps.count, total: total, status: "\(length) tokens"))
            var tried = 0
            let outcome = try search.run(
                on: prefilled, denseMilliseconds: denseMilliseconds(length), start: allotment, isOver: { time.isOver(1) }
            ) { status in
                tried += 1
                progress(.init(phase: .allocation, done: min(steps.count + tried, total), total: total, status: status))
            }
            steps += outcome.steps
            if let held = outcome.allotment { allotment = held }
            buckets.append(TunedConfig.Bucket(length: length, layers: outcome.heads))
            survivors = known.survivors(candidates(length))
        }
        return Result(
            buckets: buckets,
            trials: settings.lengths.flatMap { work.trials.trials(length: $0).sorted { $0.key < $1.key }.flatMap(\.value) },
            options: options.map(OptionDamage.init), steps: steps, isCutShort: time.isReached)
    }

    private func isPredicted(_ length: Int) -> Bool { length == settings.lengths[0] || length <= settings.longestPredicted }

    /// The trials of each head that are worth judging.
    private func candidates(_ length: Int) -> [HeadIndex: [FrozenTrial]] {
        work.trials.trials(length: length).mapValues(HeadProbing.options)
    }

    /// Searches each layer's heads as it passes by.
    private func tap(
        _ prompt: TuningPrompt, survivors: [HeadIndex: [SampleAttentionParameters]]?, progress: @escaping (Progress) -> Void
    ) -> AttentionTap {
        let total = model.tunedLayers.count * headSearch.rounds(survivors)
        let workspace = AttentionWorkspace()
        var done = 0
        return AttentionTap { attention in
            try headSearch.search(
                attention, survivors: survivors, workspace: workspace, isOver: { time.isOver(survivors == nil ? 0.3 : 0.9) }
            ) {
                done += 1
                progress(
                    .init(
                        phase: .search, done: min(done, total), total: total,
                        status: "\(prompt.tokens.count) tokens, layer \(attention.layer)"))
            }
        }
    }

    private var headSearch: HeadSearch {
        HeadSearch(kernel: model.kernel, settings: settings, latency: latency, trials: work.trials, warmStart: warmStart)
    }

    private func predict(
        _ options: [HeadIndex: [FrozenTrial]], on prompts: [TuningPrompt], length: Int, progress: @escaping (Progress) -> Void
    ) throws {
        try HeadPredicting(model: model, work: work.predictions, seed: settings.seed).run(
            options, on: prompts, isOver: { time.isOver(0.7) }
        ) {
            progress(.init(phase: .gradients, done: Int(100 * $0), total: 100, status: "\(length) tokens"))
        }
    }

    /// What the options of all heads cost, as predicted and as probes of a few correct it.
    ///
    /// - Parameters:
    ///   - prefilled: what configs are tried on; the first of them may be probed.
    ///   - predicted: what options may have been predicted on; the first of them is the first prefilled.
    ///   - earlier: what was found at the length before; nil at the shortest.
    private func judge(
        _ options: [HeadIndex: [FrozenTrial]], _ prefilled: [PrefilledPrompt], predicted: [TuningPrompt], earlier: HeadDamages?,
        length: Int, progress: @escaping (Progress) -> Void
    ) throws -> HeadDamages {
        let losses = try prefilled.filter { $0.prompt.kind == .plain }
            .map { Quality(try $0.dense.fullAttention(), prompt: $0.prompt).denseLoss }
        let denseLoss = losses.reduce(0, +) / Double(max(1, losses.count))
        func damages() -> HeadDamages {
            HeadDamages(
                options, work: work, prompts: predicted, floor: settings.floor, denseLoss: denseLoss,
                earlier: earlier)
        }
        let known = damages()
        let choice = ProbeChoice(seed: settings.seed, options: settings.probesPerHead)
        let probed = earlier.map { choice.later(options, of: $0.retrievalHeads, known) } ?? choice.first(options, known)
        try HeadProbing(pool: model.kernel.pool, work: work.probes).run(probed, on: [prefilled[0]], isOver: { time.isOver(0.7) }) {
            progress(.init(phase: .probes, done: $0.done, total: $0.total, status: "layer \($0.item.layer), head \($0.item.head)"))
        }
        return damages()
    }

    /// Of one head with full attention.
    private func denseMilliseconds(_ length: Int) -> Double {
        1000 * latency.seconds(HeadWork(nil, pattern: .dense, shape: model.attentionShape(tokens: length)))
    }
}
