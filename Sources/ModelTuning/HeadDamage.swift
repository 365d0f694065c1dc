import AttentionCore
import Autotuning
import SampleAttention

/// What an option of a head costs the model, in nats a token.
struct HeadDamage {
    /// On text: KL(full ‖ sparse) over all positions, or what the text's loss grows by where that is more.
    let text: Double
    /// KL at the tokens of answers.
    let answers: Double

    init(text: Double, answers: Double) { (self.text, self.answers) = (text, answers) }

    init(_ prediction: PredictedDamage) { self.init(text: prediction.divergence, answers: prediction.answerDivergence) }

    init(_ quality: Quality) { self.init(text: quality.meanDivergence, answers: quality.answerDivergence) }
}

/// What passes backward say of one option on several prompts together.
package struct PromptsDamage {
    /// What prompts of one kind lose.
    private struct Losses {
        /// In nats a token, one entry a prompt.
        var samples: [(loss: Double, tokens: Double)]

        /// Their mean and its standard error, of several: what a head wins on one prompt it may lose on the next, and a head of which one knows no
        /// better is not to be risked.
        var expected: Double {
            let tokens = samples.reduce(0) { $0 + $1.tokens }
            let mean = samples.reduce(0) { $0 + $1.loss * $1.tokens } / max(1, tokens)
            let spread = samples.reduce(0) { $0 + $1.tokens * ($1.loss - mean) * ($1.loss - mean) } / max(1, tokens)
            return mean + (spread / Double(max(1, samples.count - 1))).squareRoot()
        }
    }

    /// KL(full ‖ sparse) over all positions, in nats a token.
    package let divergence: Double
    /// At the worst, for answers are few and the next prompt asks others.
    package let answers: Double
    private let losses: [TuningPrompt.Kind: Losses]

    /// - Parameter predictions: one entry a prompt, nil where it is not known; nil comes of nothing known.
    package init?(_ predictions: [PredictedDamage?], prompts: [TuningPrompt]) {
        let known = zip(predictions, prompts).compactMap { damage, prompt in damage.map { (damage: $0, prompt: prompt) } }
        guard let answers = known.map(\.damage.answerDivergence).largest() else { return nil }
        self.answers = answers
        divergence = known.reduce(0) { $0 + $1.damage.divergence } / Double(known.count)
        losses = Dictionary(grouping: known, by: \.prompt.kind)
            .mapValues { own in Losses(samples: own.map { ($0.damage.loss, Double($0.prompt.tokens.count)) }) }
    }

    private init(divergence: Double, answers: Double, losses: [TuningPrompt.Kind: Losses]) {
        (self.divergence, self.answers, self.losses) = (divergence, answers, losses)
    }

    /// The same of an option that changes its head's output by another square error, for a head's damage is in proportion to it.
    package func scaled(by ratio: Double) -> PromptsDamage {
        PromptsDamage(
            divergence: ratio * divergence, answers: ratio * answers,
            losses: losses.mapValues { own in Losses(samples: own.samples.map { (ratio * $0.loss, $0.tokens) }) })
    }

    /// The same with a loss in proportion to its KL instead of its own.
    package func scaled(by ratio: Double, lossPerDivergence: Double) -> PromptsDamage {
        let loss = lossPerDivergence * ratio * divergence
        return PromptsDamage(
            divergence: ratio * divergence, answers: ratio * answers,
            losses: losses.mapValues { own in Losses(samples: own.samples.map { (loss, $0.tokens) }) })
    }

    /// The same with what more prompts lost: of a loss single prompts say little.
    package func with(lossesOf others: PromptsDamage) -> PromptsDamage {
        PromptsDamage(
            divergence: divergence, answers: answers,
            losses: losses.merging(others.losses) { Losses(samples: $0.samples + $1.samples) })
    }

    /// KL alone, on text and at answers, which is what probes can be compared with.
    var divergences: HeadDamage { HeadDamage(text: divergence, answers: answers) }

    /// The damage on text that is like these, in nats a token: KL at least, and the loss of the kind that loses more, for what one kind wins is none of
    /// the other's.
    package var text: Double { losses.values.reduce(divergence) { .larger($0, $1.expected) } }
}

/// How much of what a floor lets go a head's option costs, by kind.
package struct FloorShares {
    package let text, answers: Double
    var sum: Double { text + answers }
    var worst: Double { .larger(text, answers) }

    /// - Parameter denseLoss: of full attention, in nats a token.
    init(_ damage: HeadDamage, floor: QualityFloor, denseLoss: Double) {
        self.init(
            text: damage.text / max(1e-9, floor.lossIncrease * denseLoss), answers: damage.answers / floor.answerDivergence)
    }

    package init(text: Double, answers: Double) { (self.text, self.answers) = (text, answers) }

    /// The damage that these are the shares of.
    func damage(floor: QualityFloor, denseLoss: Double) -> HeadDamage {
        HeadDamage(text: text * max(1e-9, floor.lossIncrease * denseLoss), answers: answers * floor.answerDivergence)
    }
}
