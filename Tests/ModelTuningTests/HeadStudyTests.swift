import AttentionCore
import AttentionKernels
import AttentionLayers
import Autotuning
import DurableFiles
import Foundation
import ModelTuning
import RunProvenance
import SampleAttention
import Testing

/// The search on every head alone, on layers without a model that judges.
@Suite struct HeadStudyTests {
    private let study: MadeStudy
    private let lengths: [Int]

    init() throws {
        study = try MadeStudy(trials: 12)
        lengths = [160, 320]
    }

    private func sources(_ model: MadeModel) -> [any LayerSource] {
        // The longer one first: a study sorts them.
        lengths.reversed().map { MadeSource(model: model, tokens: $0) }
    }

    private func header(_ model: MadeModel) -> HeadStudyHeader {
        HeadStudyHeader(model: MadeModel.identity, sources: sources(model), settings: study.settings, latency: study.latency)
    }

    private func journal(_ model: MadeModel, resume: Bool) throws -> HeadStudyJournal {
        try HeadStudyJournal(heads: JournalFile(study.path), header: header(model), resume: resume)
    }

    private func run(_ model: MadeModel, resume: Bool? = nil) throws -> [HeadStudy.Head] {
        let kept = try resume.map { try journal(model, resume: $0) }
        return try HeadStudy(settings: study.settings, latency: study.latency, journal: kept).run(sources(model))
    }

    @Test func findsFrontsAtEveryLength() throws {
        var reports: [HeadStudy.Progress] = []
        let model = try MadeModel()
        let heads = try HeadStudy(settings: study.settings, latency: study.latency).run(sources(model)) { reports.append($0) }
        let places = heads.map { [$0.length, $0.layer, $0.head] }
        #expect(places == lengths.flatMap { n in [[n, 0, 0], [n, 0, 1], [n, 1, 0], [n, 1, 1]] })
        for head in heads {
            #expect(head.denseMilliseconds == study.denseMilliseconds(head.length) && !head.front.isEmpty)
            for pattern in SampleAttentionParameters.Pattern.allCases {
                let front = head.front.filter { $0.parameters.pattern == pattern }
                #expect(zip(front, front.dropFirst()).allSatisfy { $0.cost <= $1.cost && $0.error >= $1.error })
            }
            let cheapest = try #require(head.cheapest(meanMass: 0.5))
            #expect(cheapest.measured.meanMass >= 0.5 && cheapest.cost < head.denseMilliseconds)
            #expect(head.front.allSatisfy { $0.measured.meanMass < 0.5 || $0.cost >= cheapest.cost })
            #expect(head.cheapest(meanMass: 1.1) == nil)
        }
        let tokens = reports.map(\.tokens)
        #expect(tokens == tokens.sorted() && tokens.count { $0 == 160 } == 2 * 12)
        #expect(reports.allSatisfy { $0.done <= $0.total })
    }

    /// Heads that keep too little, and heads that were not searched, attend fully.
    @Test func aConfigTakesTheCheapestThatKeepTheMass() throws {
        let heads = try run(try MadeModel())
        var identity = MadeModel.identity
        identity.layers = 3
        let provenance = study.config([]).provenance
        let config = HeadStudy.config(heads, meanMass: 0.5, model: identity, provenance: provenance, denseBelow: 9)
        #expect(config.buckets.map(\.length) == lengths && config.denseBelow == 9)
        for bucket in config.buckets {
            #expect(bucket.patterns[2] == [.dense, .dense])
            #expect(bucket.layers[2][0].measured.milliseconds == study.denseMilliseconds(bucket.length))
            for head in heads where head.length == bucket.length {
                #expect(bucket.parameters(head.layer, head.head) == head.cheapest(meanMass: 0.5)?.parameters)
            }
        }
        let strict = HeadStudy.config(heads, meanMass: 1.1, model: identity, provenance: provenance, denseBelow: 9)
        #expect(strict.buckets.flatMap { $0.patterns.flatMap(\.self) }.allSatisfy { $0 == .dense })
    }

    /// Wherever a study stopped, and whichever of its trials are missing, it ends the same.
    @Test func goesOnFromAnyTrials() throws {
        let expected = try run(try MadeModel(), resume: false)
        let lines = try study.lines()
        #expect(lines.count > 1 + 4 * 12)
        for kept in [1, 2, 7, 30, lines.count - 1, lines.count] {
            try study.write(lines.prefix(kept))
            #expect(try run(try MadeModel(), resume: true).map(\.front) == expected.map(\.front), "\(kept) lines kept")
            #expect(try study.lines() == lines)
        }
        try study.write([lines[0]] + lines.dropFirst().enumerated().filter { $0.offset % 3 != 0 }.map(\.element).reversed())
        #expect(try run(try MadeModel(), resume: true).map(\.front) == expected.map(\.front))
        #expect(try study.lines().sorted() == lines.sorted())
    }

    @Test func aLayerThatIsNotFiniteIsNamed() throws {
        let source = BrokenSource(source: MadeSource(model: try MadeModel(), tokens: 160))
        let error = #expect(throws: InputError.self) {
            try HeadStudy(settings: study.settings, latency: study.latency).run([source])
        }
        #expect(error?.code == .invalidData && error?.field?.hasPrefix("layer 1") == true, "\(String(describing: error))")
    }

    @Test func anotherStudysJournalIsRefused() throws {
        let model = try MadeModel()
        _ = try run(model, resume: false)
        var other = study
        other.settings.seed = 8
        let seeded = HeadStudyHeader(model: MadeModel.identity, sources: sources(model), settings: other.settings, latency: study.latency)
        other.settings = study.settings
        other.settings.space.alpha = 0.5...0.9
        let narrow = HeadStudyHeader(model: MadeModel.identity, sources: sources(model), settings: other.settings, latency: study.latency)
        let short = HeadStudyHeader(
            model: MadeModel.identity, sources: [MadeSource(model: model, tokens: 160)], settings: study.settings, latency: study.latency)
        for (header, field) in [(seeded, "seed"), (narrow, "space.alpha"), (short, "prompts")] {
            let error = #expect(throws: InputError.self) {
                try HeadStudyJournal(heads: JournalFile(study.path), header: header, resume: true)
            }
            #expect(error?.code == .configuration && error?.field == "line 1, \(field)", "\(String(describing: error))")
        }
        // A study of a whole model has another header.
        let error = #expect(throws: InputError.self) { try study.journal(model, resume: true) }
        #expect(error?.code == .invalidData && error?.field?.hasPrefix("line 1") == true)
        #expect(try journal(model, resume: true).header.latency(like: study.latency, path: "j") == study.latency)
    }

    @Test(arguments: [
        (#""layer":1"#, #""layer":2"#, "layer 2, head 0 must be one of the study's"),
        (#""length":160"#, #""length":161"#, "length 161 must be one of the study's"),
        (#""meanMass":"#, #""meanMass":-"#, "shares must be from 0 to 1"),
    ]) func damagedTrialsAreRefused(found: String, damage: String, rule: String) throws {
        let model = try MadeModel()
        _ = try run(model, resume: false)
        var lines = try study.lines()
        let place = try #require(lines.dropFirst().firstIndex { $0.contains(found) })
        lines[place] = lines[place].replacingOccurrences(of: found, with: damage)
        try study.write(lines)
        let error = #expect(throws: InputError.self) { try journal(model, resume: true) }
        #expect(error?.rule == rule && error?.field == "line \(place + 1)", "\(String(describing: error))")
    }
}

/// A source whose second layer is not a number.
private struct BrokenSource: LayerSource {
    let source: MadeSource
    var kernel: AttentionKernel { source.kernel }
    var layers: [Int] { source.layers }
    var queryHeads: Int { source.queryHeads }
    var text: Provenance.Text { source.text }
    var tokens: Int { source.tokens }

    func forEachLayer(_ body: (LayerAttention) throws -> Void) throws {
        try source.forEachLayer { attention in
            guard attention.layer == 1 else { return try body(attention) }
            let broken = AlignedBuffer<Float>(count: tokens * 2 * 8)
            for index in 0..<tokens * 2 * 8 { broken.base[index] = .nan }
            let query = HeadTensor(projection: broken.base, heads: 2, tokens: tokens, dimension: 8)
            try body(
                LayerAttention(
                    layer: 1, inputs: LayerInputs(query: query, key: attention.inputs.key, value: attention.inputs.value),
                    output: attention.output))
        }
    }
}
