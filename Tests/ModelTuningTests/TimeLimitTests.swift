import AttentionCore
import Autotuning
import ModelTuning
import SampleAttention
import Testing

/// Studies that run out of time, by a clock that goes on by a second at every call of the model.
@Suite struct TimeLimitTests {
    private let study: MadeStudy

    init() throws { study = try MadeStudy() }

    @Test func enoughTimeCutsNothingShort() throws {
        let model = try MadeModel()
        let whole = try study.run(model)
        let seconds = Double(model.calls.total)
        // Probes end at 70 % of the time, and most of it are probes.
        let limited = try study.run(try MadeModel(), minutes: 2 * seconds / 60)
        #expect(!limited.isCutShort && limited.buckets == whole.buckets && limited.steps.count == whole.steps.count)
    }

    /// The search ends at 30 % of 8 s: when the second layer is shown, 3 s are over, and its heads stay dense.
    @Test func theSearchEndsAtThreeTenths() throws {
        let result = try study.run(try MadeModel(), minutes: 8.0 / 60)
        #expect(result.isCutShort && Set(result.trials.map(\.layer)) == [0])
        #expect(result.buckets[0].patterns[1] == [.dense, .dense])
    }

    /// Of the probes those come first that every head has; the rest is left out at 70 %, and one allocation is checked all the same.
    @Test func probesEndAtSevenTenths() throws {
        let model = try MadeModel()
        let result = try study.run(model, minutes: 24.0 / 60)
        #expect(result.isCutShort && result.trials.count == 4 * 9)
        // A prompt for the search, its two layers, four passes backward and six prompts run before them; the last probe ends in the second after
        // 16.8 s.
        #expect(model.calls.dense == 7 && model.calls.layers == 2 && model.calls.predictions == 4 && model.calls.probes == 4)
        #expect(Set(model.calls.probed.map { $0[0] * 2 + $0[1] }) == [0, 1, 2, 3])
        #expect(result.options.count > 8 && result.options.count { $0.probed != nil } == 4)
        #expect(result.steps.count >= 1 && model.calls.sparse <= 12)
    }

    /// A prompt that there was no time to predict on is left out, and the others count.
    @Test func predictionsOfSomePromptsAreOfUse() throws {
        let model = try MadeModel(predicts: 2, predictionSeconds: 4)
        // The first pass backward begins after three seconds and ends in the eighth, past 70 % of eleven.
        let result = try study.run(model, minutes: 11.0 / 60)
        #expect(result.isCutShort && model.calls.predictions == 1 && model.calls.probes == 0)
        #expect(result.options.count > 8 && result.options.allSatisfy { $0.probed == nil && $0.loss > 0 })
        #expect(result.buckets[0].patterns.flatMap(\.self).contains { $0 != .dense })
    }

    @Test func noTimeAtAllGivesDenseHeads() throws {
        let result = try study.run(try MadeModel(), minutes: 1e-9)
        #expect(result.isCutShort && result.trials.isEmpty && result.options.isEmpty)
        #expect(result.buckets[0].patterns == [[.dense, .dense], [.dense, .dense]] && result.steps.count == 1)
    }
}
