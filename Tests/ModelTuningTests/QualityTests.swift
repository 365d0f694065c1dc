import AttentionCore
import LanguageModels
import ModelTuning
import Testing

@Suite struct QualityTests {
    /// Eight tokens; the answer is tokens 4 and 5, told by positions 3 and 4.
    private static let prompt = TuningPrompt(
        name: "t", kind: .interleaved, tokens: [0, 1, 2, 3, 4, 5, 6, 7], answers: [4..<6], repetitions: [7..<8])

    private static func divergence(
        choices: [Int32], divergences: [Float] = Array(repeating: 0, count: 8), added: Float = 0,
        referenceChoices: [Int32] = [1, 2, 3, 4, 5, 6, 7, 0]
    ) -> Divergence {
        Divergence(
            divergences: divergences, logProbabilities: Array(repeating: -1 - added, count: 7),
            referenceLogProbabilities: Array(repeating: -1, count: 7), choices: choices, referenceChoices: referenceChoices)
    }

    @Test func anAnswerIsKeptWhenEveryTokenIs() {
        let kept = Quality(Self.divergence(choices: [9, 9, 9, 4, 5, 9, 9, 9]), prompt: Self.prompt)
        #expect(kept.denseAnswers == 1 && kept.answers == 1 && kept.asked == 1 && kept.answersKept == 1)
        #expect(kept.agreement == 0.25)
        let lost = Quality(Self.divergence(choices: [1, 2, 3, 4, 9, 6, 7, 0]), prompt: Self.prompt)
        #expect(lost.answers == 0 && lost.sharedAnswers == 0 && lost.answersKept == 0 && lost.agreement == 0.875)
    }

    /// Loss is of what is neither answer nor repetition; the divergences of those are means of their own.
    @Test func lossLeavesOutWhatIsWovenIn() {
        let quality = Quality(
            Self.divergence(choices: [1, 2, 3, 4, 5, 6, 7, 0], divergences: [0, 0, 0, 0.02, 0.04, 0, 0.8, 0]), prompt: Self.prompt)
        #expect(quality.denseLoss == 1 && quality.loss == 1)
        #expect(abs(quality.answerDivergence - 0.03) < 1e-6 && abs(quality.repetitionDivergence - 0.8) < 1e-6)
        #expect(abs(quality.meanDivergence - 0.86 / 8) < 1e-6 && quality.p99Divergence > 0.7)
    }

    /// One lost answer does not hide what the others do.
    @Test func noTokenOfAnAnswerCountsForMoreThanItMay() {
        let quality = Quality(
            Self.divergence(choices: [1, 2, 3, 4, 9, 6, 7, 0], divergences: [0, 0, 0, 0.02, 7, 0, 0, 0]), prompt: Self.prompt)
        #expect(abs(quality.answerDivergence - (0.02 + Quality.mostAnswerDivergence) / 2) < 1e-6)
    }

    /// A text that happens to like a change does not excuse it.
    @Test func lossGrowsAtLeastByTheDivergence() {
        let lucky = Quality(
            Self.divergence(choices: Array(repeating: 9, count: 8), divergences: Array(repeating: 0.05, count: 8), added: -0.1),
            prompt: Self.prompt)
        #expect(lucky.loss < lucky.denseLoss && abs(lucky.lossIncrease - 0.05) < 1e-6)
        let plain = Quality(Self.divergence(choices: Array(repeating: 9, count: 8), added: 0.2), prompt: Self.prompt)
        #expect(abs(plain.lossIncrease - 0.2) < 1e-6)
    }

    /// No comparison with what is not a number holds, and none may pass for a floor that is kept.
    @Test func whatIsNotANumberMissesEveryFloor() {
        var floor = QualityFloor()
        floor.tailDivergence = 0.004
        let good = Quality(Self.divergence(choices: [1, 2, 3, 4, 5, 6, 7, 0]), prompt: Self.prompt)
        #expect(QualityFloor.misses([good], floor: floor).isEmpty)
        for place in [0, 3, 6, 7] {
            var divergences = [Float](repeating: 0, count: 8)
            divergences[place] = .nan
            let broken = Quality(Self.divergence(choices: [1, 2, 3, 4, 5, 6, 7, 0], divergences: divergences), prompt: Self.prompt)
            #expect(broken.lossIncrease.isNaN && broken.p99Divergence.isNaN && floor.worstShare([broken]).isNaN)
            #expect(broken.answerDivergence.isNaN == (place == 3))
            #expect(QualityFloor.misses([good, broken], floor: floor).count == 2)
        }
        let lossless = Quality(Self.divergence(choices: [1, 2, 3, 4, 5, 6, 7, 0], added: .nan), prompt: Self.prompt)
        #expect(lossless.lossIncrease.isNaN && QualityFloor.misses([lossless], floor: floor).count == 1)
    }

    @Test func floorsTellWhatIsMissed() {
        var floor = QualityFloor()
        let good = Quality(Self.divergence(choices: [1, 2, 3, 4, 5, 6, 7, 0], added: 0.005), prompt: Self.prompt)
        #expect(abs(floor.worstShare([good]) - 0.5) < 1e-4)
        #expect(QualityFloor.misses([good], floor: floor).isEmpty)
        let forgetful = Quality(Self.divergence(choices: [1, 2, 3, 9, 9, 6, 7, 0]), prompt: Self.prompt)
        // One lost answer may be chance, of four two; of nine it is six that are not, nor is it chance when all answers' scores moved.
        #expect(floor.worstShare([forgetful]) == 0)
        #expect(floor.worstShare(Array(repeating: forgetful, count: 4)) == 2)
        #expect(floor.worstShare(Array(repeating: forgetful, count: 9)) == 6)
        let moved = Quality(
            Self.divergence(choices: [1, 2, 3, 4, 5, 6, 7, 0], divergences: [0, 0, 0, 0.01, 0.01, 0, 0, 0]), prompt: Self.prompt)
        #expect(abs(floor.worstShare([moved]) - 2) < 1e-4)
        #expect(QualityFloor.misses([good, forgetful], floor: floor).isEmpty)
        #expect(
            QualityFloor.misses([good, good, good, good] + Array(repeating: forgetful, count: 4), floor: floor)
                == ["50.0 % of the answers kept, floor 98.0 %"])
        // Answers that are won and lost change more than is lost.
        let lucky = Quality(
            Self.divergence(choices: [1, 2, 3, 4, 5, 6, 7, 0], referenceChoices: [1, 2, 3, 9, 9, 6, 7, 0]), prompt: Self.prompt)
        let mixed = Array(repeating: forgetful, count: 4) + [lucky, lucky]
        #expect(QualitySummary(mixed).lostAnswers == 2 && QualitySummary(mixed).changedAnswers == 6)
        #expect(QualityFloor.misses(mixed, floor: floor).isEmpty)
        floor.tailDivergence = 0.004
        #expect(floor.worstShare([moved, moved]) > 2 && floor.tightened(by: 0.5).tailDivergence == 0.002)
        #expect(QualityFloor.misses([moved], floor: floor).contains { $0.hasPrefix("99th percentile of KL 0.01 nats") })
        floor.tailDivergence = nil
        floor.answersKept = 1
        #expect(!QualityFloor.misses([good, forgetful], floor: floor).isEmpty && floor.worstShare([forgetful]) == .infinity)
        floor.answersKept = 0.98
        floor.agreement = 0.9
        let undecided = Quality(Self.divergence(choices: [1, 2, 9, 4, 5, 9, 7, 0]), prompt: Self.prompt)
        #expect(floor.worstShare([good]) <= 1 && floor.worstShare([undecided]) > 1)
        #expect(QualityFloor.misses([undecided], floor: floor) == ["the same first choice at 75.0 % of the positions, floor 90.0 %"])
        // Where nothing may be lost, nothing that is lost is a share of it.
        floor.agreement = nil
        floor.lossIncrease = 0
        let lossless = Quality(Self.divergence(choices: [1, 2, 3, 4, 5, 6, 7, 0]), prompt: Self.prompt)
        #expect(floor.worstShare([lossless]) == 0 && floor.worstShare([good]) == .infinity)
        floor.lossIncrease = 0.01
        // Half the room.
        #expect(floor.tightened(by: 0.5).lossIncrease == 0.005 && abs(floor.tightened(by: 0.5).answersKept - 0.99) < 1e-12)
    }

    /// Losses are averaged over plain prompts, answers counted over all.
    @Test func promptsAreJudgedTogether() {
        let plainPrompt = TuningPrompt(name: "p", kind: .plain, tokens: Self.prompt.tokens, answers: [], repetitions: [])
        let plain = [0.0, 0.01].map {
            Quality(Self.divergence(choices: Array(repeating: 9, count: 8), added: Float($0)), prompt: plainPrompt)
        }
        let interleaved = Quality(Self.divergence(choices: [1, 2, 3, 4, 5, 6, 7, 0], added: 3), prompt: Self.prompt)
        let summary = QualitySummary(plain + [interleaved])
        #expect(abs(summary.lossIncrease - 0.005) < 1e-6 && summary.answersKept == 1)
    }
}

@Suite struct CalibrationCurveTests {
    private let curve = CalibrationCurve([(0.01, 0.1), (1, 2), (0.1, 1)], noise: 0.05)

    @Test func probesComeBack() {
        for (predicted, measured) in [(0.01, 0.1), (0.1, 1), (1, 2)] { #expect(abs(curve.measured(predicted) - measured) < 1e-6) }
        // In between it goes on evenly in the logarithms.
        #expect(abs(curve.measured(0.0316) / 0.316 - 1) < 0.01)
    }

    @Test func beyondTheEndsItIsInProportion() {
        #expect(abs(curve.measured(10) / 20 - 1) < 1e-6 && abs(curve.measured(0.005) / 0.05 - 1) < 1e-6)
        #expect(abs(CalibrationCurve([(0, 3)], noise: 0.05).measured(0) - 3) < 1e-6)
    }

    /// What is measured of nothing is not nothing, and says no more than that there is not more.
    @Test func noiseTellsNothing() {
        let quiet = CalibrationCurve([(1e-7, 0.04)], noise: 0.05)
        #expect(abs(quiet.measured(0.1) - 0.1) < 1e-3)
        #expect(abs(CalibrationCurve([(0.2, 0.04)], noise: 0.05).measured(0.2) - 0.05) < 1e-6)
    }

    @Test func withoutProbesPredictionsStay() {
        for predicted in [0, 0.01, 3] { #expect(CalibrationCurve([], noise: 0.05).measured(predicted) == predicted) }
    }

    /// Noise may make an option that is predicted to cost more look harmless; the curve does not believe it.
    @Test func itNeverFalls() {
        let noisy = CalibrationCurve([(0.01, 0.5), (0.1, 0.2), (1, 4), (1, 6)], noise: 0.05)
        let values = [0, 0.001, 0.01, 0.05, 0.1, 0.5, 1, 5].map(noisy.measured)
        #expect(values == values.sorted() && values.allSatisfy { $0 >= 0 })
        #expect(abs(noisy.measured(0.1) - 0.5) < 1e-6 && abs(noisy.measured(1) - 6) < 1e-6)
    }
}
