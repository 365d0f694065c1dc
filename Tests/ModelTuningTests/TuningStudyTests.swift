import AttentionCore
import Autotuning
import Foundation
import LanguageModels
import ModelTuning
import SampleAttention
import Testing

/// Whole studies of models whose heads' sensitivities are known.
@Suite struct TuningStudyTests {
    private let study: MadeStudy

    init() throws { study = try MadeStudy() }

    /// KL at answers that the floor lets go, less its headroom: what binds first in made models.
    private static let room = 0.25 * 0.02 * 0.7

    private static func policy(_ bucket: TunedConfig.Bucket) -> AttentionPolicy { .perHead { bucket.parameters($0, $1) } }

    @Test func heedsWhatHeadsCostTheModel() throws {
        let model = try MadeModel([[0.05, 0.001], [0.001, 0.05]])
        let result = try study.run(model)
        let bucket = try #require(result.buckets.first)
        #expect(result.buckets.count == 1 && bucket.length == 320 && !result.isCutShort)
        for layer in 0..<2 {
            let (tough, easy) = (layer, 1 - layer)
            #expect(bucket.patterns[layer][easy] != .dense)
            #expect(
                bucket.layers[layer][easy].measured.milliseconds! < bucket.layers[layer][tough].measured.milliseconds!, "\(bucket.patterns)"
            )
        }
        #expect(model.damage(Self.policy(bucket), tokens: 320) <= Self.room)
        // Six prompts a step; predictions on the two interleaved prompts, and a few options of every head probed on one.
        let choices = Set(result.steps.map { $0.checks[0].heads })
        #expect(result.steps.allSatisfy { $0.checks.count == 6 } && model.calls.sparse == 6 * choices.count)
        #expect(model.calls.predictions == 4 && result.options.count > 8)
        let probed = result.options.filter { $0.probed != nil }
        #expect(model.calls.probes == probed.count && probed.count < result.options.count)
        for head in 0..<4 {
            let own = probed.filter { 2 * $0.layer + $0.head == head }
            #expect(own.count { $0.trial.parameters.pattern != .keyBlocks } == 2 && own.count <= 4)
        }
        #expect(result.trials.count == 4 * 9 && Set(result.trials.map(\.head)) == [0, 1])
    }

    /// What an option is said to cost is what the made model loses by it: its predictions fall short by a fifth everywhere, and two options
    /// of a head tell that.
    @Test func probesCorrectPredictions() throws {
        let model = try MadeModel()
        let options = try study.run(model).options
        for option in options where option.trial.parameters.pattern != .keyBlocks {
            let policy = AttentionPolicy.perHead {
                $0 == option.layer && $1 == option.head ? option.trial.parameters : .dense
            }
            let damage = model.damage(policy, tokens: 320)
            // Of what is less than some hundredths of the floor, not all of the fifth is believed.
            #expect(abs(option.loss - damage) < 0.01 * damage + 5e-5, "\(option)")
            #expect(abs(option.answerDivergence - damage) < 0.01 * damage + 5e-5, "\(option)")
            guard let probed = option.probed else { continue }
            #expect(abs(probed.divergence - damage) < 1e-6 && abs(probed.answerDivergence - damage) < 1e-6)
            #expect(abs(probed.predictedDivergence - 0.8 * damage) < 1e-6 && option.trial.measured.density < 0.95)
        }
        // Every head was probed, and most options of it were not.
        let probed = options.filter { $0.probed != nil }
        #expect(Set(probed.map { 2 * $0.layer + $0.head }) == [0, 1, 2, 3] && probed.count < options.count)
    }

    private struct Choice {
        let cost, damage: Double
        static func + (a: Choice, b: Choice) -> Choice { Choice(cost: a.cost + b.cost, damage: a.damage + b.damage) }
    }

    /// The cheapest of all choices that keep the floor, but for what interpolation and the last correction leave.
    @Test func comesNearTheCheapestChoice() throws {
        let model = try MadeModel([[0.004, 0.002], [0.001, 0.002]])
        let result = try study.run(model)
        let dense = study.denseMilliseconds(320)
        var choices = [Choice(cost: 0, damage: 0)]
        for (layer, head) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let trials = result.trials.filter { $0.layer == layer && $0.head == head && $0.cost < dense }
            let options =
                [Choice(cost: dense, damage: 0)]
                + trials.map { trial in
                    let policy = AttentionPolicy.perHead { $0 == layer && $1 == head ? trial.parameters : .dense }
                    return Choice(cost: trial.cost, damage: model.damage(policy, tokens: 320))
                }
            choices = choices.flatMap { choice in options.map { choice + $0 } }.filter { $0.damage <= Self.room }
        }
        let best = try #require(choices.map(\.cost).min())
        let found = try #require(result.buckets.first).milliseconds
        #expect(found >= best - 1e-12 && found < 1.15 * best && best < 0.8 * 4 * dense, "\(found) ms, least \(best) ms")
    }

    /// Heads that spoil more, or less, together than each alone: the allotted damage follows what whole prompts say.
    @Test(arguments: [0.25, 1, 2.5]) func correctsTheAllottedDamage(interaction: Double) throws {
        let model = try MadeModel(interaction: interaction)
        let result = try study.run(model)
        let bucket = try #require(result.buckets.first)
        #expect(model.damage(Self.policy(bucket), tokens: 320) <= Self.room)
        #expect(bucket.patterns.flatMap(\.self).contains { $0 != .dense })
        let (first, last) = (try #require(result.steps.first), try #require(result.steps.last))
        #expect(first.allotment == DamageAllotment(text: 0.7, answers: 0.7) && result.steps.count <= study.settings.checksPerLength)
        switch interaction {
        case 2.5: #expect(first.share > 1 && last.allotment.answers < 0.7)
        case 0.25: #expect(first.share < 0.4 && last.allotment.text > 0.7)
        default: #expect(first.share > 0.6 && first.share < 1.3)
        }
        #expect(try #require(result.steps.map(\.share).filter { $0 <= 1 }.max()) > 0.2, "\(result.steps.map(\.share))")
        // What is taken was tried, and held.
        let taken = result.steps.filter { $0.checks[0].heads == bucket.layers.map { $0.map(\.parameters) } }
        #expect(!taken.isEmpty && taken.allSatisfy { $0.share <= 1 })
    }

    /// Whatever is sparse loses everything: nothing is.
    @Test func everyHeadIsDenseWhereNoStepHolds() throws {
        let result = try study.run(try MadeModel(interaction: 1e6))
        #expect(result.buckets[0].patterns == [[.dense, .dense], [.dense, .dense]])
        try #require(result.steps.count == study.settings.checksPerLength)
        for step in result.steps { #expect(step.share > 1 || step.checks[0].heads == [[.dense, .dense], [.dense, .dense]]) }
        #expect(result.steps[0].share > 1 && result.steps[1].allotment.answers < 0.7)
        #expect(result.buckets[0].layers[0][0].measured.milliseconds == study.denseMilliseconds(320))
    }

    /// One step alone, which misses, leaves nothing to fall back on but full attention; what must not be lost has no share of it.
    @Test func aStepThatMissesIsNotTaken() throws {
        var study = study
        study.settings.checksPerLength = 1
        study.settings.floor.answersKept = 1
        let result = try study.run(try MadeModel([[1e-6, 1e-6], [1e-6, 1e-6]], interaction: 1e6))
        // One that was asked for, and three more because none holds.
        #expect(result.steps.count == 4 && result.steps[0].share == .infinity)
        #expect(result.buckets[0].patterns == [[.dense, .dense], [.dense, .dense]])
        let encoded = try JSONSerialization.jsonObject(with: JSONEncoder().encode(result.steps)) as? [[String: Any]]
        let step = try #require(encoded?.first)
        #expect(step["share"] is NSNull && (step["allotment"] as? [String: Double])?["text"] == 0.7 && step["length"] as? Int == 320)
        #expect((step["density"] as? [Double])?.count == 6 && (step["quality"] as? [Any])?.count == 6)
    }

    @Test func aBudgetOfTimeIsKept() throws {
        var study = study
        let dense = 4 * study.denseMilliseconds(320)
        for share in [0.8, 0.5] {
            study.settings.budgetMilliseconds = share * dense
            let result = try study.run(try MadeModel())
            #expect(result.steps.count == 1 && result.steps[0].milliseconds <= share * dense)
            #expect(result.buckets[0].milliseconds <= share * dense && result.buckets[0].milliseconds > 0.6 * share * dense)
        }
        // Out of reach: the cheapest there is of every head.
        study.settings.budgetMilliseconds = 1e-9
        let least = try study.run(try MadeModel())
        for (layer, heads) in least.buckets[0].layers.enumerated() {
            for (head, chosen) in heads.enumerated() {
                let own = least.trials.filter { $0.layer == layer && $0.head == head }
                #expect(chosen.measured.milliseconds == own.map(\.cost).min())
            }
        }
    }

    @Test func headsKeepTheirLeastMass() throws {
        var study = study
        study.settings.floor.mass = 0.8
        let harmless = try MadeModel([[1e-6, 1e-6], [1e-6, 1e-6]])
        let held = try study.run(harmless).buckets[0].layers.flatMap(\.self)
        #expect(held.allSatisfy { $0.measured.meanMass >= 0.8 })
        study.settings.floor.mass = nil
        let free = try study.run(harmless).buckets[0].layers.flatMap(\.self)
        #expect(free.contains { $0.measured.meanMass < 0.8 })
    }

    /// An earlier config's parameters come first, before the ladder of windows.
    @Test func triesAnEarlierConfigFirst() throws {
        var study = study
        let window = SampleAttentionParameters.window(tokens: 77, sinks: 3)
        let measured = TunedConfig.Measurement(meanMass: 1, p1Mass: 1, minMass: 1, density: 1)
        let heads = [TunedConfig.Head(parameters: window, measured: measured), .init(parameters: .dense, measured: measured)]
        let warm = study.config([.init(length: 320, layers: [heads, heads])])
        study.settings.trials = 2
        let result = try study.run(try MadeModel(), warmStart: warm)
        for layer in 0..<2 {
            let first = result.trials.filter { $0.number == 0 && $0.layer == layer }
            try #require(first.map(\.head) == [0, 1])
            #expect(first[0].parameters == window && first[1].parameters != window)
        }
    }

    @Test func theSameSeedGivesTheSame() throws {
        var study = study
        // Some beyond the ladder of windows.
        study.settings.trials = 12
        let (a, b) = (try study.run(try MadeModel()), try study.run(try MadeModel()))
        #expect(a.trials == b.trials && a.buckets == b.buckets)
        study.settings.seed = 8
        #expect(try study.run(try MadeModel()).trials != a.trials)
    }

    @Test func saysHowFarItIs() throws {
        var reports: [TuningStudy.Progress] = []
        let result = try study.run(try MadeModel()) { reports.append($0) }
        var phases: [TuningStudy.Progress.Phase] = []
        for report in reports where report.phase != phases.last { phases.append(report.phase) }
        #expect(phases == [.search, .gradients, .probes, .allocation])
        for phase in phases {
            let own = reports.filter { $0.phase == phase }
            #expect(own.map(\.done) == own.map(\.done).sorted() && own.allSatisfy { $0.done <= $0.total })
        }
        #expect(reports.last { $0.phase == .search }.map { $0.done == $0.total } == true)
        #expect(
            reports.last { $0.phase == .probes }.map { $0.done == result.options.count { $0.probed != nil } && $0.done == $0.total } == true
        )
        #expect(reports.last?.done == result.steps.count)
    }
}
