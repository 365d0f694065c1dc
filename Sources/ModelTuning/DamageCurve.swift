import AttentionCore
import Autotuning
import DurableFiles
import SampleAttention

/// What a head's output error does to the model, learned from probes: shares of what the floor lets go, by output error.
///
/// Within one family of patterns KL at the answers is proportional to the head's squared output error over orders of magnitude, and
/// the loss grows with it, so a few probes at one length tell what any option of the head spoils at any length. Interpolated in
/// logarithms, in proportion to the error beyond the ends.
package struct DamageCurve {
    /// Ascending in both.
    private var points: [(error: Double, damage: Double)] = []

    /// - Parameter probed: output errors and damages; damage that falls while the error grows is noise and is lifted.
    package init(_ probed: [(error: Double, damage: Double)]) {
        var highest = 0.0
        for point in probed.filter({ $0.error > 0 }).sorted(by: { $0.error < $1.error }) {
            highest = max(highest, point.damage)
            guard highest > 0, points.last?.error != point.error else { continue }
            points.append((point.error, highest))
        }
    }

    /// Nil when nothing is known.
    package func damage(error: Double) -> Double? {
        guard let first = points.first, let last = points.last else { return nil }
        if error <= 0 { return 0 }
        if error <= first.error { return first.damage * error / first.error }
        if error >= last.error { return last.damage * error / last.error }
        let next = points.firstIndex { $0.error > error }!
        let (a, b) = (points[next - 1], points[next])
        let position = logarithm(error / a.error) / logarithm(b.error / a.error)
        return a.damage * exponential(position * logarithm(b.damage / a.damage))
    }
}

/// The damage curves of every head.
struct HeadSensitivities {
    private var curves: [HeadIndex: [PatternFamily: DamageCurve]] = [:]
    /// What each option spoils, as far as it is known, for reports.
    private(set) var options: [Option] = []

    struct Option {
        let head: HeadIndex
        let trial: FrozenTrial
        /// From a pass backward, and from probes; one of them at least.
        let predicted, measured: Damage?

        var damage: Damage { measured ?? predicted! }
    }

    /// An option's damage on all prompts.
    struct Damage {
        /// Nats a token: the greater of the loss added and of KL, which is never negative and less noisy.
        let loss: Double
        /// KL at the tokens of answers, in nats.
        let answers: Double

        /// In shares of what the floor lets go.
        func share(of floor: QualityFloor, denseLoss: Double) -> Double {
            loss / max(1e-9, floor.lossIncrease * denseLoss) + answers / floor.answerDivergence
        }
    }

    /// Heads without which something cannot be looked up: some option of theirs costs an answer's token as much as the floor lets
    /// go. How far back a head must look to answer grows with the prompt, so what was learned of these at one length does not
    /// hold at the next.
    func retrievalHeads(floor: QualityFloor) -> Set<HeadIndex> {
        Set(options.filter { $0.damage.answers > floor.answerDivergence }.map(\.head))
    }

    /// The damage of a head's worst option, in shares of what the floor lets go; nil when none is known.
    func worst(_ head: HeadIndex, floor: QualityFloor, denseLoss: Double) -> Double? {
        options.filter { $0.head == head }.map { $0.damage.share(of: floor, denseLoss: denseLoss) }.largest()
    }

    /// The most KL at answers of any of a head's options; nil when none is known.
    func worstAtAnswers(_ head: HeadIndex) -> Double? { options.filter { $0.head == head }.map(\.damage.answers).largest() }

    /// The same with other curves for the heads that were probed again, at another length.
    func replacing(_ others: HeadSensitivities) -> HeadSensitivities {
        var both = self
        both.curves.merge(others.curves) { $1 }
        return both
    }

    /// What probes measured counts, and what a pass backward predicted where there is no probe.
    ///
    /// - Parameters:
    ///   - trials: the options, at the length of the prompts.
    ///   - denseLoss: of full attention on the prompts, in nats a token.
    init(
        _ trials: [HeadIndex: [FrozenTrial]], work: StudyWork, prompts: [TuningPrompt], floor: QualityFloor, denseLoss: Double
    ) {
        for (head, own) in trials {
            var points: [PatternFamily: [(error: Double, damage: Double)]] = [:]
            for trial in own {
                let items = prompts.map { ProbeItem(head, trial.parameters, prompt: $0) }
                let predictions = items.compactMap { work.predictions[$0]?.damage }
                let qualities = items.compactMap { work.probes[$0]?.quality }
                let option = Option(
                    head: head, trial: trial, predicted: predictions.count == prompts.count ? Self.damage(predictions) : nil,
                    measured: qualities.count == prompts.count ? Self.damage(qualities) : nil)
                guard option.predicted != nil || option.measured != nil, let family = PatternFamily(trial.parameters) else { continue }
                points[family, default: []].append((trial.error, option.damage.share(of: floor, denseLoss: denseLoss)))
                options.append(option)
            }
            curves[head] = points.mapValues(DamageCurve.init)
        }
        options.sort { ($0.head, $0.trial.cost) < ($1.head, $1.trial.cost) }
    }

    private static func damage(_ predictions: [PredictedDamage]) -> Damage {
        let count = Double(predictions.count)
        let loss = predictions.reduce(0) { $0 + $1.loss } / count
        let divergence = predictions.reduce(0) { $0 + $1.divergence } / count
        return Damage(loss: .larger(loss, divergence), answers: predictions.map(\.answerDivergence).largest() ?? 0)
    }

    private static func damage(_ qualities: [Quality]) -> Damage {
        let count = Double(qualities.count)
        let added = qualities.reduce(0) { $0 + $1.loss - $1.denseLoss } / count
        let divergence = qualities.reduce(0) { $0 + $1.meanDivergence } / count
        return Damage(loss: .larger(added, divergence), answers: qualities.map(\.answerDivergence).largest() ?? 0)
    }

    /// Shares of what the floor lets go; nil when the head was never probed.
    func damage(_ head: HeadIndex, _ trial: FrozenTrial) -> Double? {
        guard let family = PatternFamily(trial.parameters) else { return 0 }
        let own = curves[head] ?? [:]
        // A family without probes is judged by the other.
        return (own[family] ?? PatternFamily.allCases.lazy.compactMap { own[$0] }.first)?.damage(error: trial.error)
    }
}
