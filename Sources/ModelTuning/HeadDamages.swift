import AttentionCore
import Autotuning
import DurableFiles
import SampleAttention

/// What the options of all heads cost the model at one length: as predicted there or at a shorter one, corrected by what probes of the same
/// head found, here and at shorter lengths.
struct HeadDamages {
    struct Option {
        let head: HeadIndex
        let trial: FrozenTrial
        /// As predicted, before any correction.
        let predicted: PromptsDamage
        /// As predicted on the prompt that was probed, and as the probe measured it there; nil where the option was not probed.
        let probed: (predicted: HeadDamage, measured: HeadDamage)?
        /// On all prompts, as predicted and then corrected; in shares of the floor, too.
        let damage: HeadDamage
        let shares: FloorShares
    }

    /// By head and cost.
    let options: [Option]
    let calibrations: [HeadIndex: HeadCalibration]
    /// What options lose on text over their KL, all together, as predicted.
    private let lossPerDivergence: Double
    private let places: [HeadIndex: [SampleAttentionParameters: Int]]

    /// - Parameters:
    ///   - trials: the options, at the length of the prompts.
    ///   - prompts: those that predictions may have been made for; the first may have been probed.
    ///   - denseLoss: of full attention, in nats a token.
    ///   - earlier: of the length before, which gives what was not predicted here (see `PromptsDamage.scaled`).
    init(
        _ trials: [HeadIndex: [FrozenTrial]], work: StudyWork, prompts: [TuningPrompt], floor: QualityFloor, denseLoss: Double,
        earlier: HeadDamages?
    ) {
        typealias Known = (
            head: HeadIndex, trial: FrozenTrial, predicted: PromptsDamage, probed: (predicted: HeadDamage, measured: HeadDamage)?
        )
        func shares(_ damage: HeadDamage) -> FloorShares { FloorShares(damage, floor: floor, denseLoss: denseLoss) }
        let known = trials.keys.sorted().flatMap { head in
            trials[head]!.sorted { $0.cost < $1.cost }.compactMap { trial -> Known? in
                let items = prompts.map { ProbeItem(head, trial.parameters, prompt: $0) }
                let predictions = items.map { work.predictions[$0]?.damage }
                let here = PromptsDamage(predictions, prompts: prompts), same = earlier?.sameOption(head, trial)
                let predicted = here.map { own in same.map(own.with(lossesOf:)) ?? own } ?? same ?? earlier?.nearestOption(head, trial)
                guard let predicted else { return nil }
                let probed = items.first.flatMap { work.probes[$0] }.map { probe in
                    (predictions[0].map(HeadDamage.init) ?? predicted.divergences, HeadDamage(probe.quality))
                }
                return (head, trial, predicted, probed)
            }
        }
        var calibrations = earlier?.calibrations ?? [:]
        for case (let head, let trial, _, let probed?) in known {
            calibrations[head, default: HeadCalibration()].learn(
                trial.parameters, predicted: shares(probed.predicted), measured: shares(probed.measured))
        }
        let options = known.map { head, trial, predicted, probed in
            let plain = shares(predicted.divergences)
            let corrected = calibrations[head]?.corrected(trial.parameters, plain) ?? plain
            // Probes compare KL, to which the loss is in proportion.
            let shares = FloorShares(
                text: corrected.text * (predicted.divergence > 0 ? predicted.text / predicted.divergence : 1), answers: corrected.answers)
            return Option(
                head: head, trial: trial, predicted: predicted, probed: probed, damage: shares.damage(floor: floor, denseLoss: denseLoss),
                shares: shares)
        }
        self.options = options
        lossPerDivergence =
            options.reduce(0) { $0 + $1.predicted.text } / max(1e-12, options.reduce(0) { $0 + $1.predicted.divergence })
        self.calibrations = calibrations
        places = Dictionary(grouping: options.indices) { options[$0].head }.mapValues { own in
            Dictionary(own.map { (options[$0].trial.parameters, $0) }) { first, _ in first }
        }
    }

    /// In shares of what the floor lets go; nil when it is not known.
    func shares(_ head: HeadIndex, _ trial: FrozenTrial) -> FloorShares? {
        places[head]?[trial.parameters].map { options[$0].shares }
    }

    /// A prediction for an option of a longer length, in proportion to the output errors, from the option of this length with the same
    /// parameters; nil where their errors differ by much, for a short prompt may have kept all.
    private func sameOption(_ head: HeadIndex, _ trial: FrozenTrial) -> PromptsDamage? {
        guard let same = places[head]?[trial.parameters].map({ options[$0] }) else { return nil }
        guard same.trial.error > Self.roundingError, Self.distance(same.trial, trial) < Self.farError else { return nil }
        return same.predicted.scaled(by: trial.error / same.trial.error)
    }

    /// The same from the option of the same kind with the nearest error. It forgets other keys, and so other words of the texts: its loss is what
    /// options lose as a rule.
    private func nearestOption(_ head: HeadIndex, _ trial: FrozenTrial) -> PromptsDamage? {
        let told = (places[head] ?? [:]).values.sorted().map { options[$0] }.filter { $0.trial.error > Self.roundingError }
        let isBlocks = trial.parameters.pattern == .keyBlocks
        let alike = told.filter { ($0.trial.parameters.pattern == .keyBlocks) == isBlocks }
        let nearest = (alike.isEmpty ? told : alike).min { Self.distance($0.trial, trial) < Self.distance($1.trial, trial) }
        return nearest.map { $0.predicted.scaled(by: trial.error / $0.trial.error, lossPerDivergence: lossPerDivergence) }
    }

    /// How far two output errors are apart, in logarithms.
    private static func distance(_ a: FrozenTrial, _ b: FrozenTrial) -> Double {
        abs(logarithm(max(a.error, roundingError) / max(b.error, roundingError)))
    }

    /// Squared output errors that rounding alone can make.
    private static let roundingError = 1e-7
    /// In logarithms: four times as much.
    private static let farError = 1.4

    /// What a longer length tries of these: of each head the options by cost up to the first that costs the model next to nothing, even if
    /// every head were to have such a one. What is dearer than that no head is ever given.
    func survivors(_ trials: [HeadIndex: [FrozenTrial]]) -> [HeadIndex: [SampleAttentionParameters]] {
        let nothing = 0.02 / Double(max(1, trials.count))
        return Dictionary(
            uniqueKeysWithValues: trials.map { head, own in
                let byCost = own.sorted { $0.cost < $1.cost }
                let last = byCost.firstIndex { shares(head, $0)?.sum ?? .infinity < nothing } ?? byCost.endIndex
                return (head, byCost.prefix(last + 1).map(\.parameters))
            })
    }

    /// Heads without which something cannot be looked up: some option of theirs costs an answer's token as much as the floor lets go. How far
    /// back a head must look to answer grows with the prompt, so what was learned of these at one length is measured again at the next.
    var retrievalHeads: Set<HeadIndex> { Set(options.filter { $0.shares.answers > 1 }.map(\.head)) }

    /// The head's option that costs most, in shares of the floor, by what counts; nil when none is known.
    func worst(_ head: HeadIndex, by share: (FloorShares) -> Double) -> Double? {
        places[head]?.values.map { share(options[$0].shares) }.largest()
    }
}
