import AttentionCore
import Autotuning
import LanguageModels
import ModelTuning
import SampleAttention
import Testing

/// What a study takes from one length to the next.
@Suite struct LongerLengthTests {
    private let study: MadeStudy

    init() throws { study = try MadeStudy(lengths: [320, 640]) }

    /// Only what the shorter length left on its fronts, and windows that it was too short for.
    @Test func triesWhatTheShorterLengthLeft() throws {
        let result = try study.run(try MadeModel())
        #expect(result.buckets.map(\.length) == [320, 640])
        let (short, long) = (result.trials.filter { $0.length == 320 }, result.trials.filter { $0.length == 640 })
        let widest = short.filter { $0.parameters.pattern == .window }.map { $0.parameters.window.positions(promptLength: 320) }.max()!
        #expect(
            !long.isEmpty
                && long.contains { $0.parameters.pattern == .window && $0.parameters.window.positions(promptLength: 640) > widest })
        for trial in long {
            let own = short.filter { $0.layer == trial.layer && $0.head == trial.head }
            if let same = own.first(where: { $0.parameters == trial.parameters }) {
                let beaten = own.contains {
                    $0.parameters.pattern == trial.parameters.pattern && $0.cost < same.cost
                        && $0.error < same.error
                }
                #expect(!beaten)
            } else {
                #expect(trial.parameters.window.positions(promptLength: 640) > widest && trial.parameters.pattern == .window)
            }
        }
        #expect(Set(long.map(\.parameters)).count < Set(short.map(\.parameters)).count + 4)
    }

    /// Heads that kept key blocks try counts of them that the shorter length had no room for, and no others do.
    @Test func triesMoreKeyBlocksWhereSomeWereKept() throws {
        let study = try MadeStudy(lengths: [512, 1024])
        let new = try #require(study.settings.space.keyBlockLadder(length: 1024, headDimension: 8).last)
        #expect(new.keyBlockCount == 8 && study.settings.space.keyBlockLadder(length: 512, headDimension: 8).map(\.keyBlockCount) == [4])
        let long = try study.run(try MadeModel()).trials.filter { $0.length == 1024 }
        var tried = 0
        for layer in 0..<2 {
            for head in 0..<2 {
                let own = long.filter { $0.layer == layer && $0.head == head }.map(\.parameters)
                #expect(own.contains(new) == own.contains { $0.pattern == .keyBlocks && $0 != new })
                tried += own.contains(new) ? 1 : 0
            }
        }
        #expect(tried > 0)
    }

    /// Heads that answers hang on are probed again at the next length, and no others; predicted are all.
    @Test func probesRetrievalHeadsAgain() throws {
        let model = try MadeModel([[0.0001, 0.0001], [0.04, 0.0001]])
        let result = try study.run(model)
        let long = model.calls.probed.filter { $0[2] > 320 }
        #expect(!long.isEmpty && long.allSatisfy { $0[0] == 1 && $0[1] == 0 })
        // One option with key blocks and one of the others, of two each at the shortest length.
        #expect(long.count <= 2 && model.calls.probed.count { $0[2] <= 320 && $0[0] == 1 && $0[1] == 0 } > long.count)
        #expect(Set(model.calls.probed.filter { $0[2] <= 320 }.map { $0[0] * 2 + $0[1] }) == [0, 1, 2, 3])
        #expect(result.buckets.allSatisfy { $0.patterns[0] != [.dense, .dense] })
        let predicted = result.options.filter { $0.trial.length == 640 }
        #expect(Set(predicted.map { 2 * $0.layer + $0.head }) == [0, 1, 2, 3])
    }

    @Test func withoutRetrievalHeadsNothingIsProbedAgain() throws {
        let model = try MadeModel([[0.0001, 0.0001], [0.0001, 0.0001]])
        let result = try study.run(model)
        #expect(model.calls.probed.allSatisfy { $0[2] <= 320 })
        #expect(result.buckets[1].milliseconds < 4 * study.denseMilliseconds(640))
    }

    /// The allotted damage of a length is where the next one begins.
    @Test func theAllottedDamageIsHandedOn() throws {
        let result = try study.run(try MadeModel(interaction: 6))
        let (short, long) = (result.steps.filter { $0.length == 320 }, result.steps.filter { $0.length == 640 })
        let held = try #require(short.filter { $0.share <= 1 }.min { $0.milliseconds < $1.milliseconds })
        #expect(long.first?.allotment == held.allotment && held.allotment.answers < study.settings.headroom)
    }

    /// Lengths past the longest that is predicted take the predictions of the length before, in proportion to the output errors.
    @Test func damageKeepsToTheOutputError() throws {
        var study = study
        study.settings.longestPredicted = 320
        // No head that answers hang on, which would be probed again.
        let model = try MadeModel([[0.004, 0.003], [0.004, 0.002]])
        let options = try study.run(model).options
        // A prompt each for the search and six to compare with, and at the longer length the first of four serves both.
        #expect(model.calls.predictions == 4 && model.calls.dense == 7 + 6)
        let (short, long) = (options.filter { $0.trial.length == 320 }, options.filter { $0.trial.length == 640 })
        func isOfOneHead(_ a: TuningStudy.OptionDamage, _ b: TuningStudy.OptionDamage) -> Bool { a.layer == b.layer && a.head == b.head }
        var compared = 0
        for option in long where option.loss > 5e-4 {
            guard let same = short.first(where: { isOfOneHead($0, option) && $0.trial.parameters == option.trial.parameters }) else {
                continue
            }
            // What the shorter prompt kept whole says nothing of this one.
            if option.trial.error / same.trial.error > 4 { continue }
            #expect(abs(option.loss / same.loss / (option.trial.error / same.trial.error) - 1) < 0.01)
            compared += 1
        }
        #expect(compared > 4)
        // Windows that only the longer length can try have the nearest one's in proportion.
        let new = long.filter { option in !short.contains { isOfOneHead($0, option) && $0.trial.parameters == option.trial.parameters } }
        #expect(!new.isEmpty && new.allSatisfy { $0.loss > 0 } && long.allSatisfy { $0.loss < 0.1 })
    }

    /// Key blocks that hold a sixteenth of a long prompt are tried in every head, whatever the shorter length left.
    @Test func keyBlocksAreTriedAnew() throws {
        let study = try MadeStudy(lengths: [320, 2048])
        let result = try study.run(try MadeModel([[0.0001, 0.0001], [0.0001, 0.0001]]))
        let ladder = study.settings.space.keyBlockLadder(length: 2048, headDimension: 8)
        #expect(ladder.map(\.keyBlockCount) == [4, 8, 16])
        let tried = result.trials.filter { $0.length == 2048 && $0.parameters == ladder[0] }
        #expect(tried.map { 2 * $0.layer + $0.head } == [0, 1, 2, 3])
        let left = result.options.filter { $0.trial.length == 320 && $0.trial.parameters.pattern == .keyBlocks }
        #expect(Set(left.map { 2 * $0.layer + $0.head }).count < 4)
    }
}
