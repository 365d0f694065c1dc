import AttentionCore
import LanguageModels
import SampleStatistics

/// What a sparse prefill loses against a dense one on one prompt, at every position.
public struct Quality: Sendable, Hashable, Codable {
    /// Mean loss of dense and of sparse attention, in nats a token, outside answers and repetitions.
    public let denseLoss, loss: Double
    /// KL(dense ‖ sparse) over positions, in nats: mean and 99th percentile.
    public let meanDivergence, p99Divergence: Double
    /// The share of positions with the same first choice.
    public let agreement: Double
    /// Answers of which every token is the first choice: of dense attention, of sparse attention, of both.
    public let denseAnswers, answers, sharedAnswers: Int
    /// Answers there are.
    public let asked: Int
    /// Mean over tokens of answers of KL(dense ‖ sparse), of which no token counts for more than `mostAnswerDivergence`: an answer
    /// that is lost has nats, is counted already, and would hide what all the others do. 0 where there are none.
    public let answerDivergence: Double
    /// Mean KL(dense ‖ sparse) over tokens of repetitions; 0 where there are none.
    public let repetitionDivergence: Double

    /// In nats: a scale above what answers that stay right move by.
    public static let mostAnswerDivergence = 0.1

    /// Loss above dense over the dense loss: 0.01 is one per cent worse. At least KL(dense ‖ sparse) over the dense loss: a text may
    /// happen to like what a config changes, the next one will not.
    public var lossIncrease: Double { denseLoss <= 0 ? 0 : .larger(loss - denseLoss, meanDivergence) / denseLoss }
    /// Right answers over those that dense attention has right; 1 when it has none. Above 1 sparse attention has more.
    public var answersKept: Double { denseAnswers == 0 ? 1 : Double(answers) / Double(denseAnswers) }

    public init(_ divergence: Divergence, prompt: TuningPrompt) {
        let tokens = prompt.tokens
        // A token is told by the scores after the one before it.
        func isRight(_ choices: [Int32]) -> (Range<Int>) -> Bool { { $0.allSatisfy { choices[$0 - 1] == tokens[$0] } } }
        func mean(_ spans: [Range<Int>], most: Double = .infinity) -> Double {
            let positions = spans.flatMap { $0.map { $0 - 1 } }
            return positions.reduce(0) { $0 + .smaller(most, Double(divergence.divergences[$1])) } / Double(max(1, positions.count))
        }
        var isPlain = [Bool](repeating: true, count: max(0, tokens.count - 1))
        for position in (prompt.answers + prompt.repetitions).flatMap({ $0.map { $0 - 1 } }) { isPlain[position] = false }
        let plain = isPlain.indices.filter { isPlain[$0] }
        func loss(_ logProbabilities: [Float]) -> Double {
            -plain.reduce(0) { $0 + Double(logProbabilities[$1]) } / Double(max(1, plain.count))
        }
        denseLoss = loss(divergence.referenceLogProbabilities)
        self.loss = loss(divergence.logProbabilities)
        meanDivergence = divergence.meanDivergence
        p99Divergence = Quantiles(divergence.divergences.map(Double.init)).at(0.99)
        agreement = divergence.agreement
        let known = prompt.answers.filter(isRight(divergence.referenceChoices))
        denseAnswers = known.count
        answers = prompt.answers.count(where: isRight(divergence.choices))
        sharedAnswers = known.count(where: isRight(divergence.choices))
        asked = prompt.answers.count
        answerDivergence = mean(prompt.answers, most: Self.mostAnswerDivergence)
        repetitionDivergence = mean(prompt.repetitions)
    }
}

/// What a config must not lose, measured on plain and on interleaved text.
public struct QualityFloor: Sendable, Hashable, Codable {
    /// Most loss above dense, over the dense loss; see `Quality.lossIncrease`.
    public var lossIncrease = 0.01
    /// Least share of the answers inside interleaved text that dense attention gives, but for what is lost by chance.
    public var answersKept = 0.98
    /// Least share of positions with dense attention's first choice; nil asks for none.
    public var agreement: Double?
    /// Most 99th percentile of KL(dense ‖ sparse) over positions, in nats; nil asks for none.
    public var tailDivergence: Double?
    /// Least mean retained mass of every head; nil asks for none.
    public var mass: Double?

    public init() {}

    /// KL at the tokens of answers, in nats, that goes with losing as many answers as the floor lets go. Answers are few, and the
    /// next text's are others; their KL moves long before the first of them is lost. On the bundled model 0.006 nats went with up to
    /// 2 of 42 answers lost, 0.0005 with none (4,096 to 32,768 tokens). At least what rounding in BF16 comes to.
    var answerDivergence: Double { max(1e-4, 0.25 * (1 - answersKept)) }

    /// How much of what may be lost is lost, on text and at answers, of whatever comes nearest to its floor: above 1 a floor is missed; infinite
    /// where something is lost of what must not be lost at all.
    ///
    /// Losses are averaged, answers counted together.
    func shares(of qualities: [Quality]) -> FloorShares {
        let summary = QualitySummary(qualities)
        var text = [Self.share(summary.lossIncrease, of: lossIncrease)]
        if let agreement { text.append(Self.share(1 - summary.agreement, of: 1 - agreement)) }
        if let tailDivergence { text.append(Self.share(summary.p99Divergence, of: tailDivergence)) }
        return FloorShares(
            text: text.largest() ?? 0,
            answers: .larger(
                Self.share(lostAnswers(summary), of: mayLose(summary)), Self.share(summary.answerDivergence, of: answerDivergence)))
    }

    /// The same of the worse of both.
    public func worstShare(_ qualities: [Quality]) -> Double { shares(of: qualities).worst }

    /// Answers that are lost beyond chance: of those that turn out otherwise, right or wrong, which the model was not sure of, as many more than
    /// their root go one way by chance in one of six cases. All that are lost, where none may.
    private func lostAnswers(_ summary: QualitySummary) -> Double {
        answersKept < 1 ? max(0, summary.lostAnswers - Double(summary.changedAnswers).squareRoot()) : summary.lostAnswers
    }

    /// Answers that may be lost: of a few, one, unless none may.
    private func mayLose(_ summary: QualitySummary) -> Double {
        answersKept < 1 ? max(1, (1 - answersKept) * Double(summary.denseAnswers)) : 0
    }

    /// The floors that prompts together miss, in words. What is not a number misses its floor.
    public static func misses(_ qualities: [Quality], floor: QualityFloor) -> [String] {
        let summary = QualitySummary(qualities)
        func percent(_ share: Double) -> String { "\((share * 10_000).rounded() / 100) %" }
        var misses: [String] = []
        if !(summary.lossIncrease <= floor.lossIncrease) {
            misses.append("loss \(percent(summary.lossIncrease)) above dense, floor \(percent(floor.lossIncrease))")
        }
        if floor.lostAnswers(summary) > floor.mayLose(summary) {
            misses.append("\(percent(summary.answersKept)) of the answers kept, floor \(percent(floor.answersKept))")
        }
        if let least = floor.agreement, !(summary.agreement >= least) {
            misses.append("the same first choice at \(percent(summary.agreement)) of the positions, floor \(percent(least))")
        }
        if let most = floor.tailDivergence, !(summary.p99Divergence <= most) {
            misses.append("99th percentile of KL \((summary.p99Divergence * 10_000).rounded() / 10_000) nats, floor \(most)")
        }
        return misses
    }

    private static func share(_ lost: Double, of allowed: Double) -> Double {
        lost <= 1e-12 ? 0 : allowed <= 0 ? .infinity : lost / allowed
    }

    /// A floor with so much less room: what is tuned for, so that text of another kind still keeps this one.
    public func tightened(by share: Double) -> QualityFloor {
        var floor = self
        floor.lossIncrease *= share
        floor.answersKept = 1 - (1 - answersKept) * share
        floor.agreement = agreement.map { 1 - (1 - $0) * share }
        floor.tailDivergence = tailDivergence.map { $0 * share }
        return floor
    }
}

/// Several prompts' losses in one.
public struct QualitySummary: Sendable, Hashable, Codable {
    /// From plain prompts alone, where there are any.
    public let lossIncrease, agreement, p99Divergence: Double
    /// Over all answers of all prompts.
    public let answersKept: Double
    /// Answers that dense attention has right.
    public let denseAnswers: Int
    /// Answers that one of both has right.
    public let changedAnswers: Int
    /// Fewer right answers than dense attention has; 0 where there are more.
    public var lostAnswers: Double { max(0, (1 - answersKept) * Double(denseAnswers)) }
    /// Mean KL at the tokens of answers, of the prompts that have some.
    public let answerDivergence: Double

    public init(_ qualities: [Quality]) {
        let plain = qualities.filter { $0.asked == 0 }
        let read = plain.isEmpty ? qualities : plain
        let count = Double(max(1, read.count))
        lossIncrease = read.reduce(0) { $0 + $1.lossIncrease } / count
        agreement = read.reduce(0) { $0 + $1.agreement } / count
        p99Divergence = read.reduce(0) { $0 + $1.p99Divergence } / count
        denseAnswers = qualities.reduce(0) { $0 + $1.denseAnswers }
        changedAnswers = qualities.reduce(0) { $0 + $1.denseAnswers + $1.answers - 2 * $1.sharedAnswers }
        answersKept = denseAnswers == 0 ? 1 : Double(qualities.reduce(0) { $0 + $1.answers }) / Double(denseAnswers)
        let asking = qualities.filter { $0.asked > 0 }
        answerDivergence = asking.reduce(0) { $0 + $1.answerDivergence } / Double(max(1, asking.count))
    }
}
