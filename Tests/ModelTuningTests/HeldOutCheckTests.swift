import AttentionCore
import DurableFiles
import LanguageModels
import ModelTuning
import SampleAttention
import Testing

/// A config on text it was not tuned on.
@Suite struct HeldOutCheckTests {
    private let study: MadeStudy
    private let config: TunedConfig
    private static let windows = [SampleAttentionParameters.window(tokens: 80, sinks: 0), .window(tokens: 160, sinks: 0)]

    /// The first head of each layer gets a window, of two widths at two lengths; the second is dense.
    init() throws {
        study = try MadeStudy(lengths: [320, 400])
        let measured = TunedConfig.Measurement(meanMass: 0.75, p1Mass: 0.5, minMass: 0.5, density: 0.5, outputError: 0.25)
        config = study.config(
            zip(study.settings.lengths, Self.windows).map { length, window in
                let heads = [window, .dense].map { TunedConfig.Head(parameters: $0, measured: measured) }
                return TunedConfig.Bucket(length: length, layers: [heads, heads])
            })
    }

    private func run(_ model: MadeModel, config: TunedConfig? = nil, resume: Bool? = nil) throws -> HeldOutCheck.Outcome {
        let journal = try resume.map { try study.journal(model, resume: $0) }
        return try HeldOutCheck(model: model, config: config ?? self.config, seed: 7, journal: journal).run(study.text)
    }

    @Test func judgesWholePromptsAndHeads() throws {
        let model = try MadeModel()
        var reports: [TuningStudy.Progress] = []
        let found = try HeldOutCheck(model: model, config: config, seed: 7).run(study.text) { reports.append($0) }
        // The tuned lengths and one between them: four plain prompts and two interleaved ones each.
        #expect(found.rows.map(\.length) == [320, 360, 400].flatMap { Array(repeating: $0, count: 6) })
        #expect(found.rows.map(\.isTunedLength) == found.rows.map { $0.length != 360 })
        #expect(found.rows.prefix(6).map(\.kind) == [.plain, .plain, .plain, .plain, .interleaved, .interleaved])
        for row in found.rows where row.kind == .plain {
            let damage = model.damage(.tuned(config), tokens: row.length)
            #expect(abs(row.quality.loss - row.quality.denseLoss - damage) < 1e-6 && damage > 0)
            #expect(row.prefillSecondsDense == 2 && row.prefillSecondsTuned == 1.5 && row.density == 0.5)
            #expect(row.attentionSecondsDense == 1 && row.attentionSecondsTuned == 0.5)
        }
        #expect(
            found.heads.map { [$0.length, $0.layer, $0.head] }
                == [320, 400].flatMap { n in [[n, 0, 0], [n, 0, 1], [n, 1, 0], [n, 1, 1]] })
        for head in found.heads {
            #expect(head.tuned.meanMass == 0.75 && head.massLost == 0.75 - head.heldOut.meanMass)
            #expect(head.head == 1 ? head.heldOut.meanMass > 0.9999 && head.heldOut.density == 1 : head.heldOut.density < 0.9)
            #expect(abs(head.errorRatio - head.heldOut.outputError! / 0.25) < 1e-12)
        }
        #expect(reports.map(\.done) == Array(1...20) && reports.allSatisfy { $0.total == 20 && $0.phase == .heldOut })
    }

    /// What a journal holds of this very config is not measured again.
    @Test func goesOnFromAnyCall() throws {
        let whole = try MadeModel()
        let expected = try run(whole, resume: false)
        let lines = try study.lines()
        #expect(lines.count == 1 + 18 + 2)
        #expect(whole.calls.dense == 18)
        // Heads are measured with the third prompt of a tuned length; where that is known and they are not, it runs once more.
        for (kept, dense) in [(1, 18), (5, 14 + 1), (18, 1 + 2), (20, 0 + 1)] {
            try study.write(lines.prefix(kept))
            let model = try MadeModel()
            let found = try run(model, resume: true)
            #expect(
                found.rows.map(\.quality) == expected.rows.map(\.quality) && found.heads.map(\.heldOut) == expected.heads.map(\.heldOut))
            #expect(model.calls.dense == dense)
            #expect(try study.lines() == lines)
        }
        let again = try MadeModel()
        _ = try run(again, resume: true)
        #expect(again.calls.total == 0)
        var other = config
        other.buckets[0].layers[0][0].parameters = .window(tokens: 81, sinks: 0)
        let changed = try MadeModel()
        #expect(try run(changed, config: other, resume: true).rows[0].quality != expected.rows[0].quality)
        #expect(changed.calls.dense == whole.calls.dense)
    }

    /// Together at each tuned length; what lies between is shown and not judged.
    @Test func missesAreToldByLength() throws {
        var floor = QualityFloor()
        let harmless = try run(try MadeModel([[0, 0], [0, 0]]))
        #expect(HeldOutCheck.misses(harmless.rows, floor: floor).isEmpty)
        let harmful = try run(try MadeModel([[1, 0], [1, 0]]))
        let misses = HeldOutCheck.misses(harmful.rows, floor: floor)
        try #require(misses.count == 4)
        #expect(misses[0].hasPrefix("320 tokens: loss ") && misses[3].hasPrefix("400 tokens: 0.0 % of the answers"))
        #expect(HeldOutCheck.misses(harmful.heads, floor: floor).isEmpty)
        floor.mass = 0.9
        let heads = HeldOutCheck.misses(harmful.heads, floor: floor)
        try #require(heads.count == 4)
        #expect(heads[0].hasPrefix("320 tokens, layer 0, head 0: mean mass 0.") && heads[0].hasSuffix("floor 0.9"))
    }

    @Test func shortTextsAreRefusedBeforeAnythingIsMeasured() throws {
        let tokens = study.text.tokenCount
        #expect(throws: InputError.self) { try HeldOutCheck.checkPrompts(study.text, tunedLengths: [320, tokens + 9], seed: 7) }
        #expect(throws: InputError.self) { try HeldOutCheck.checkPrompts(study.text, tunedLengths: [40], seed: 7) }
        try HeldOutCheck.checkPrompts(study.text, tunedLengths: [320, 400], seed: 7)
        #expect(throws: InputError.self) { try TuningStudy.checkPrompts(study.text, settings: TuningSettings(lengths: [320, tokens + 9])) }
        try TuningStudy.checkPrompts(study.text, settings: study.settings)
    }
}
