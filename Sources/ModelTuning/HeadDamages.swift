import AttentionCore
import Autotuning
import DurableFiles
import SampleAttention

/// What the options of all heads cost the model at one length: as predicted, corrected by what probes of the same head found, here and at
/// shorter lengths.
struct HeadDamages {
    struct Option {
        let head: HeadIndex
        let trial: FrozenTrial
        /// As predicted on the prompt that was probed, and as the probe measured it there; nil where the option was not probed.
        let probed: (predicted: HeadDamage, measured: HeadDamage)?
        /// On all prompts, as predicted and then corrected; in shares of the floor, too.
        let damage: HeadDamage
        let shares: FloorShares
    }

    /// By head and cost.
    let options: [Option]
    let calibrations: [HeadIndex: HeadCalibration]
    private let places: [HeadIndex: [SampleAttentionParameters: Int]]

    /// - Parameters:
    ///   - trials: the options, at the length of the prompts.
    ///   - prompts: those that predictions were made for; the first may have been probed.
    ///   - denseLoss: of full attention, in nats a token.
    ///   - calibrations: from shorter lengths.
    init(
        _ trials: [HeadIndex: [FrozenTrial]], work: StudyWork, prompts: [TuningPrompt], floor: QualityFloor, denseLoss: Double,
        calibrations: [HeadIndex: HeadCalibration]
    ) {
        typealias Known = (
            head: HeadIndex, trial: FrozenTrial, predicted: PromptsDamage, probed: (predicted: HeadDamage, measured: HeadDamage)?
        )
        func shares(_ damage: HeadDamage) -> FloorShares { FloorShares(damage, floor: floor, denseLoss: denseLoss) }
        let known = trials.keys.sorted().flatMap { head in
            trials[head]!.sorted { $0.cost < $1.cost }.compactMap { trial -> Known? in
                let items = prompts.map { ProbeItem(head, trial.parameters, prompt: $0) }
                let predictions = items.map { work.predictions[$0]?.damage }
                guard let predicted = PromptsDamage(predictions, prompts: prompts) else { return nil }
                let probe = items.first.flatMap { work.probes[$0] }
                return (
                    head, trial, predicted, probe.flatMap { probe in predictions[0].map { (HeadDamage($0), HeadDamage(probe.quality)) } }
                )
            }
        }
        var calibrations = calibrations
        for case (let head, let trial, _, let probed?) in known {
            calibrations[head, default: HeadCalibration()].learn(
                trial.parameters, predicted: shares(probed.predicted), measured: shares(probed.measured))
        }
        let rules = Dictionary(grouping: known, by: \.trial.parameters.pattern)
            .mapValues { PromptsDamage.lossPerDivergence($0.map(\.predicted)) }
        let options = known.map { head, trial, predicted, probed in
            let plain = shares(HeadDamage(text: predicted.divergence, answers: predicted.answers))
            let corrected = calibrations[head]?.corrected(trial.parameters, plain) ?? plain
            // Probes compare KL, to which the loss is in proportion.
            let loss = predicted.textDamage(lossPerDivergence: rules[trial.parameters.pattern]!)
            let shares = FloorShares(
                text: corrected.text * (predicted.divergence > 0 ? loss / predicted.divergence : 1), answers: corrected.answers)
            return Option(
                head: head, trial: trial, probed: probed, damage: shares.damage(floor: floor, denseLoss: denseLoss),
                shares: shares)
        }
        self.options = options
        self.calibrations = calibrations
        places = Dictionary(grouping: options.indices) { options[$0].head }.mapValues { own in
            Dictionary(own.map { (options[$0].trial.parameters, $0) }) { first, _ in first }
        }
    }

    /// In shares of what the floor lets go; nil when it is not known.
    func shares(_ head: HeadIndex, _ trial: FrozenTrial) -> FloorShares? {
        places[head]?[trial.parameters].map { options[$0].shares }
    }

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
