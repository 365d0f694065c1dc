import ModelTuning
import SampleAttention
import Testing

/// What probes teach of a head, and how the allotted damage follows what whole prompts lose.
@Suite struct DamageTests {
    private let window = SampleAttentionParameters.window(tokens: 64, sinks: 4)
    private let keyBlocks = SampleAttentionParameters.keyBlocks(count: 8, window: 64, sinks: 4)

    /// A window that loses an answer is predicted at a thousandth of what it costs; key blocks, which keep it, are as predicted.
    @Test func keyBlocksAreCorrectedApart() {
        var calibration = HeadCalibration()
        calibration.learn(window, predicted: FloorShares(text: 0.1, answers: 0.002), measured: FloorShares(text: 0.2, answers: 2))
        let predicted = FloorShares(text: 0.05, answers: 0.001)
        let (wider, blocks) = (calibration.corrected(window, predicted), calibration.corrected(keyBlocks, predicted))
        #expect(abs(wider.text - 0.1) < 1e-6 && abs(wider.answers - 1) < 1e-4)
        #expect(blocks.text == 0.05 && blocks.answers == 0.001)
        calibration.learn(keyBlocks, predicted: FloorShares(text: 0.1, answers: 0.1), measured: FloorShares(text: 0.1, answers: 0.05))
        #expect(abs(calibration.corrected(keyBlocks, predicted).answers - 0.0005) < 1e-6)
        #expect(abs(calibration.corrected(window, predicted).answers - 1) < 1e-4)
    }

    private func search(_ steps: [(used: FloorShares, lost: FloorShares)]) -> AllotmentSearch {
        var search = AllotmentSearch(DamageAllotment(text: 0.7, answers: 0.7))
        for step in steps { search.learn(used: step.used, lost: step.lost) }
        return search
    }
    private let used = FloorShares(text: 0.7, answers: 0.1)

    /// While text has room and is what binds, answers' allotment stays.
    @Test func textComesFirst() {
        let next = search([(used, FloorShares(text: 0.5, answers: 0.1))])
        #expect(abs(next.allotment.text - 0.7 * 0.93 / 0.5) < 1e-9 && next.allotment.answers == 0.7 && !next.isSettled)
        // Text has what it may have: answers' turn.
        let after = search([(used, FloorShares(text: 0.95, answers: 0.1))])
        #expect(after.allotment.answers > 0.7 && !after.isSettled)
        // Where text is not what binds, too.
        let slack = search([(FloorShares(text: 0.1, answers: 0.7), FloorShares(text: 0.1, answers: 0.5))])
        #expect(slack.allotment.answers > 0.7)
        #expect(search([(used, FloorShares(text: 0.95, answers: 0.2))]).isSettled)
    }

    /// A near miss is left by a quarter, and puts nothing else at risk.
    @Test func aMissIsLeftByAGoodStep() {
        let next = search([(used, FloorShares(text: 1.03, answers: 0.1))])
        #expect(abs(next.allotment.text - 0.7 * 0.75) < 1e-9 && next.allotment.answers == 0.7 && !next.isSettled)
        let lost = search([(used, FloorShares(text: 0.5, answers: 3))])
        #expect(abs(lost.allotment.answers - 0.7 * 0.31) < 1e-9 && lost.allotment.text > 0.7)
    }

    /// Between what held and what missed, by what they came to; half-way in logarithms from what lost nothing.
    @Test func missesAreBracketed() {
        let steps = [(used, FloorShares(text: 1.8, answers: 0)), (used, FloorShares(text: 0.2, answers: 0))]
        let (held, missed) = (0.7 * 0.93 / 1.8, 0.7)
        let between = search(steps).allotment.text
        #expect(between > held && between < missed)
        let fromNothing = search([steps[0], (used, FloorShares(text: 0, answers: 0))]).allotment.text
        #expect(abs(fromNothing - (held * missed).squareRoot()) < 1e-9)
    }

    /// Answers that a greater allotment lost come back with the one that held, and are not put at risk again.
    @Test func answersGoBackToWhatHeld() {
        let steps = [(used, FloorShares(text: 0.95, answers: 0.1)), (used, FloorShares(text: 0.95, answers: 3))]
        let first = search([steps[0]])
        #expect(first.allotment.answers > 0.7 && !first.isSettled)
        #expect(search(steps).allotment.answers == 0.7)
        let again = search(steps + [steps[0]])
        #expect(again.allotment.answers == 0.7 && again.isSettled)
        // Text that missed and is not back at what it may have comes first.
        let text = search([(used, FloorShares(text: 1.2, answers: 0.1)), (used, FloorShares(text: 0.6, answers: 0.1))])
        #expect(text.allotment.answers == 0.7)
    }

    private func damage(_ losses: [(kind: TuningPrompt.Kind, loss: Double)], divergence: Double = 0.001) -> PromptsDamage? {
        let prompts = losses.map { TuningPrompt(name: "", kind: $0.kind, tokens: [1, 2, 3, 4], answers: [], repetitions: []) }
        return PromptsDamage(
            losses.map { PredictedDamage(loss: $0.loss, divergence: divergence, answerDivergence: 10 * $0.loss) }, prompts: prompts)
    }

    /// The mean over prompts of a kind and its standard error; of the kind that loses more; KL at least.
    @Test func textDamageIsTheWorseKindsLossAndItsError() throws {
        let same = try #require(damage([(.plain, 0.01), (.plain, 0.01), (.interleaved, 0.02)]))
        #expect(abs(same.text - 0.02) < 1e-12 && abs(same.answers - 0.2) < 1e-12 && same.divergence == 0.001)
        #expect(abs(try #require(damage([(.plain, 0.03), (.interleaved, -0.05)])).text - 0.03) < 1e-12)
        #expect(try #require(damage([(.plain, -0.02), (.interleaved, -0.05)])).text == 0.001)
        // Nothing in the mean; a deviation of 0.03 over the root of three.
        let unsure = try #require(damage([(.plain, 0.03), (.plain, -0.03), (.plain, 0)]))
        #expect(abs(unsure.text - 0.03 / 3.0.squareRoot()) < 1e-12)
        #expect(PromptsDamage([nil], prompts: [TuningPrompt(name: "", kind: .plain, tokens: [1], answers: [], repetitions: [])]) == nil)
    }

    @Test func damageIsHandedOnInProportion() throws {
        let own = try #require(damage([(.plain, 0.01), (.plain, 0.03)])), twice = own.scaled(by: 2)
        #expect(
            abs(own.text - 0.03) < 1e-12 && abs(twice.text - 0.06) < 1e-12 && twice.divergence == 0.002 && twice.answers == 2 * own.answers)
        // Its own loss gives way to one in proportion to KL.
        #expect(abs(own.scaled(by: 2, lossPerDivergence: 5).text - 0.01) < 1e-12)
        // Two more prompts that lose nothing: the mean is half, the error less.
        let more = own.with(lossesOf: try #require(damage([(.plain, 0), (.plain, 0)], divergence: 0.5)))
        let spread = (0.01 * 0.01 + 0.03 * 0.03) / 4 - 0.01 * 0.01
        #expect(abs(more.text - (0.01 + (spread / 3).squareRoot())) < 1e-12 && more.divergence == 0.001)
    }
}
