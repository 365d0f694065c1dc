import AttentionCore
import Autotuning
import DurableFiles
import Foundation
import ModelTuning
import SampleAttention
import Testing

/// Studies that stop, and studies that go on: whatever a journal holds, the end is the same.
@Suite struct ContinuedStudyTests {
    private let study: MadeStudy

    init() throws { study = try MadeStudy(trials: 5) }

    private func buckets(_ model: MadeModel, resume: Bool) throws -> [TunedConfig.Bucket] {
        try study.run(model, journal: study.journal(model, resume: resume)).buckets
    }

    /// Stopped at any call of the model: what was done by then is in the journal, and not done again.
    @Test func goesOnFromAnyCall() throws {
        let whole = try MadeModel()
        let expected = try buckets(whole, resume: false)
        let lines = try study.lines()
        #expect(lines.count > 50)
        for stop in stride(from: 1, through: whole.calls.total, by: 13) {
            try FileManager.default.removeItem(atPath: study.path)
            let stopped = try MadeModel(stop: stop)
            #expect(throws: MadeModel.Stop.self) { try buckets(stopped, resume: false) }
            let held = FileManager.default.fileExists(atPath: study.path) ? try study.lines() : []
            #expect(held == Array(lines.prefix(held.count)), "what was written before a stop stays as it is")
            let resumed = try MadeModel()
            #expect(try buckets(resumed, resume: true) == expected, "stopped at call \(stop)")
            #expect(try study.lines() == lines)
            // The call that failed is the only one made twice, beside the dense prompts that all else is compared with.
            #expect(resumed.calls.probes + stopped.calls.probes <= whole.calls.probes + 1)
            #expect(resumed.calls.sparse + stopped.calls.sparse <= whole.calls.sparse + 1)
        }
    }

    /// Probes that are made at once are journalled in their order, and a stop costs no more than what was under way.
    @Test func probesAtOnceComeToTheSame() throws {
        let alone = try MadeModel()
        let expected = try buckets(alone, resume: false)
        let lines = try study.lines()
        try FileManager.default.removeItem(atPath: study.path)
        let stopped = try MadeModel(stop: alone.calls.dense + alone.calls.layers + alone.calls.probes / 2, concurrentProbes: 3)
        #expect(throws: MadeModel.Stop.self) { try buckets(stopped, resume: false) }
        let held = try study.lines()
        #expect(held.count > 1 && held == Array(lines.prefix(held.count)))
        let resumed = try MadeModel(concurrentProbes: 3)
        #expect(try buckets(resumed, resume: true) == expected)
        #expect(try study.lines() == lines)
        #expect(resumed.calls.probes + stopped.calls.probes <= alone.calls.probes + 3)
    }

    /// No record depends on which others were made in the same run: any of them may be missing.
    @Test(arguments: [2, 3, 7]) func goesOnFromAnyRecords(missing: Int) throws {
        let expected = try buckets(try MadeModel(), resume: false)
        let lines = try study.lines()
        try study.write(lines.enumerated().filter { $0.offset == 0 || $0.offset % missing != 0 }.map(\.element))
        #expect(try buckets(try MadeModel(), resume: true) == expected)
        #expect(try study.lines().sorted() == lines.sorted())
        // Nor on their order.
        try study.write([lines[0]] + lines.dropFirst().reversed())
        let model = try MadeModel()
        #expect(try buckets(model, resume: true) == expected)
        #expect(model.calls.probes == 0 && model.calls.sparse == 0)
    }

    /// A length that is added takes the first one's measurements over.
    @Test func aLengthMayBeAdded() throws {
        let short = try buckets(try MadeModel(), resume: false)
        var longer = study
        longer.settings.lengths = [320, 640]
        let model = try MadeModel()
        let result = try longer.run(model, journal: longer.journal(model, resume: true))
        #expect(result.buckets[0] == short[0] && result.buckets.count == 2)
        #expect(model.calls.probed.allSatisfy { $0[2] > 320 })
    }

    @Test func anotherStudysJournalIsRefused() throws {
        _ = try buckets(try MadeModel(), resume: false)
        let model = try MadeModel()
        let changes: [(String, (inout TuningSettings) -> Void)] = [
            ("line 1, settings.seed", { $0.seed = 8 }), ("line 1, settings.trials", { $0.trials = 6 }),
            ("line 1, settings.floor", { $0.floor.lossIncrease = 0.5 }),
        ]
        for (field, change) in changes {
            var other = study
            change(&other.settings)
            #expect(throws: InputError.self) { try other.journal(model, resume: true) }
            let error = #expect(throws: InputError.self) { try other.journal(model, resume: true) }
            #expect(error?.code == .configuration && error?.field == field)
        }
        var header = study.header(model)
        header.warmStartSHA256 = "ab"
        let error = #expect(throws: InputError.self) { try StudyJournal(study: JournalFile(study.path), header: header, resume: true) }
        #expect(error?.field == "line 1, warmStartSHA256" && error?.value == "none")
    }

    /// A study ends with the costs it was begun with; costs that no fit gives are refused.
    @Test func costsAreTheJournals() throws {
        let model = try MadeModel()
        let journal = try study.journal(model)
        let other = LatencyModel(machine: study.latency.machine, headDimension: 8, secondsPerUnit: [.densePairs: 1])
        #expect(try journal.header.latency(like: other, path: "j") == study.latency)
        for (name, cost, field) in [("densePairs", -1.0, "densePairs"), ("nothing", 1, "nothing")] {
            var header = journal.header
            header.secondsPerUnit = [name: cost]
            let error = #expect(throws: InputError.self) { try header.latency(like: other, path: "j") }
            #expect(error?.field == "line 1, secondsPerUnit.\(field)" && error?.file == "j")
        }
    }

    /// Records that the study cannot have written.
    @Test(arguments: [
        ("trial", #""layer":0"#, #""layer":2"#, "layer 2, head 0 must be one of the model's"),
        ("trial", #""density":"#, #""density":1"#, "shares must be from 0 to 1"),
        ("trial", #""milliseconds":"#, #""milliseconds":-"#, "outputError and milliseconds must not be negative"),
        ("probe", #""head":0"#, #""head":-1"#, "layer 0, head -1 must be one of the model's"),
        ("check", #""heads":[["#, #""heads":[[],["#, "heads must be those of the model"),
        ("heldOut", #""prefillSecondsTuned":"#, #""prefillSecondsTuned":-"#, "seconds must not be negative"),
        ("transfer", #""head":1"#, #""head":0"#, "heads must be those of the model"),
        ("probe", #"{"probe":"#, #"{"other":"#, "must be one trial, prediction, probe, check, heldOut or transfer"),
    ]) func damagedRecordsAreRefused(kind: String, found: String, damage: String, rule: String) throws {
        let model = try MadeModel()
        var journal: StudyJournal? = try study.journal(model)
        let result = try study.run(model, journal: journal)
        _ = try HeldOutCheck(model: model, config: study.config(result.buckets), seed: 7, journal: journal).run(study.text)
        journal = nil
        var lines = try study.lines()
        let place = try #require(lines.firstIndex { $0.hasPrefix("{\"\(kind)\"") && $0.contains(found) })
        lines[place] = lines[place].replacingOccurrences(of: found, with: damage)
        try study.write(lines)
        let error = #expect(throws: InputError.self) { try study.journal(model, resume: true) }
        #expect(error?.rule == rule && error?.field == "line \(place + 1)", "\(String(describing: error))")
    }
}
