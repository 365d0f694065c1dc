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

/// What a pass backward says of one option on several prompts together.
struct PromptsDamage {
    /// KL(full ‖ sparse) over all positions, in nats a token.
    let divergence: Double
    /// What the texts' own loss grows by, in nats a token, and the tokens that say so.
    let loss, tokens: Double
    /// At the worst, for answers are few and the next prompt asks others.
    let answers: Double

    /// - Parameter predictions: one entry a prompt, nil where it is not known; nil comes of nothing known.
    init?(_ predictions: [PredictedDamage?], prompts: [TuningPrompt]) {
        let known = zip(predictions, prompts).compactMap { damage, prompt in damage.map { (damage: $0, prompt: prompt) } }
        guard let answers = known.map(\.damage.answerDivergence).largest() else { return nil }
        self.answers = answers
        divergence = known.reduce(0) { $0 + $1.damage.divergence } / Double(known.count)
        let losses = known.compactMap { damage, prompt in damage.loss.map { (loss: $0, tokens: Double(prompt.tokens.count)) } }
        tokens = losses.reduce(0) { $0 + $1.tokens }
        loss = losses.reduce(0) { $0 + $1.loss * $1.tokens } / max(1, tokens)
    }

    /// How far the loss is to be believed, from 0 to 1: its variance over texts is 2 · KL / tokens, and beside it stands what options of a
    /// pattern lose as a rule, give or take their KL.
    var weight: Double { divergence > 0 && tokens > 0 ? divergence / (divergence + 2 / tokens) : 0 }

    /// The damage on text that is like these: KL at least, and the loss, drawn towards what is the rule by as much as it is noise. Of many
    /// options some are lucky on these texts, and would be chosen for that.
    ///
    /// - Parameter lossPerDivergence: the rule.
    func textDamage(lossPerDivergence: Double) -> Double {
        .larger(divergence, weight * loss + (1 - weight) * lossPerDivergence * divergence)
    }

    /// What options lose over their KL, as a rule; at least 1.
    static func lossPerDivergence(_ damages: [PromptsDamage]) -> Double {
        let told = damages.filter { $0.weight > 0 }
        return .larger(1, told.reduce(0) { $0 + $1.weight * $1.loss / $1.divergence } / max(1e-9, told.reduce(0) { $0 + $1.weight }))
    }
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
