import AttentionCore
import AttentionKernels
import AttentionTestSupport
import Autotuning
import DurableFiles
import Foundation
import SampleAttention
import Testing

@Suite struct AutotuningTests {
    static let shape = AttentionShape(queryHeads: 2, keyValueHeads: 1, queryCount: 512, keyCount: 512, headDimension: 16)

    func tune(count: Int, done: Int = 0, seed: UInt64 = 1) throws -> [FrozenTrial] {
        let tuner = HeadTuner(kernel: try AttentionKernel(pool: WorkerPool(threads: 2)), space: SearchSpace(), seed: seed)
        let oracle = NaiveAttention(shape: Self.shape, seed: 12, spread: 2)
        var trials: [FrozenTrial] = []
        try oracle.withTensors { query, key, value in
            try tuner.tune(
                layer: 5, inputs: .init(query: query, key: key, value: value), count: count, done: done, workspace: AttentionWorkspace()
            ) { trials += $0 }
        }
        return trials
    }

    @Test func candidatesAreSeededAndInsideTheSpace() throws {
        let tuner = HeadTuner(kernel: try AttentionKernel(pool: WorkerPool(threads: 1)), space: SearchSpace(), seed: 3)
        let candidates = tuner.candidates(length: 8192, layer: 1, head: 2, count: 64)
        #expect(candidates.count == 64 && candidates[0] == .standard)
        #expect(candidates == tuner.candidates(length: 8192, layer: 1, head: 2, count: 64))
        #expect(candidates.prefix(10) == tuner.candidates(length: 8192, layer: 1, head: 2, count: 10)[...])
        #expect(candidates != tuner.candidates(length: 8192, layer: 1, head: 3, count: 64))
        for candidate in candidates.dropFirst() {
            #expect(tuner.space.alpha.contains(candidate.alpha.value))
            #expect(candidate.sampleRatio.value >= 0.005 && candidate.sampleRatio.value <= 0.05)
            #expect((60...4100).contains(candidate.window.positions(promptLength: 8192)))
        }
    }

    @Test func resumedTrialsEqualUninterruptedOnes() throws {
        let all = try tune(count: 6)
        #expect(all.count == 12)
        #expect(try tune(count: 6, done: 4) == all.filter { $0.number >= 4 })
        #expect(try tune(count: 6, done: 6).isEmpty)
    }

    /// The measured mass is that of the pattern the parameters select, row by row.
    @Test func trialsMeasureTheTrueRetainedMass() throws {
        let oracle = NaiveAttention(shape: Self.shape, seed: 12, spread: 2)
        let kernel = try AttentionKernel(pool: WorkerPool(threads: 2))
        for trial in try tune(count: 3) where trial.head == 1 {
            let pattern = oracle.withTensors { query, key, value in
                let inputs = SampleAttentionOperator.Inputs(query: query, key: key, value: value)
                let selection = SampleAttentionOperator(kernel: kernel).select(
                    inputs, parameters: [trial.parameters, trial.parameters], promptLength: 512, workspace: AttentionWorkspace())[1]
                return SampleAttentionOperator.pattern(trial.parameters, selection: selection, shape: Self.shape, promptLength: 512)
            }
            let masses = (0..<512).map { row in
                oracle.probabilities(head: 1, row: row).enumerated().reduce(0.0) {
                    pattern.keeps(key: $1.offset, position: row, shape: Self.shape) ? $0 + $1.element : $0
                }
            }
            #expect(abs(trial.measured.meanMass - masses.reduce(0, +) / 512) < 1e-5)
            #expect(abs(trial.measured.minMass - masses.min()!) < 1e-5)
            #expect(trial.measured.density == pattern.density(Self.shape))
        }
    }

    @Test func cheapestMeetsTheFloorOrStaysDense() throws {
        func trial(_ number: Int, mean: Double, p1: Double, density: Double) -> FrozenTrial {
            FrozenTrial(
                length: 10, layer: 0, head: 0, number: number, parameters: .standard,
                measured: .init(meanMass: mean, p1Mass: p1, minMass: 0, density: density))
        }
        let trials = [
            trial(0, mean: 0.99, p1: 0.9, density: 0.4), trial(1, mean: 0.96, p1: 0.8, density: 0.2),
            trial(2, mean: 0.96, p1: 0.3, density: 0.1), trial(3, mean: 0.5, p1: 0.5, density: 0.01),
        ]
        func chosen(_ mean: Double, _ p1: Double) throws -> Int {
            RetainedMassFloor(mean: try Fraction(mean), p1: try Fraction(p1)).cheapest(trials, length: 10, layer: 0, head: 0).number
        }
        #expect(try chosen(0.95, 0.5) == 1)
        #expect(try chosen(0.95, 0.1) == 2)
        #expect(try chosen(0.98, 0.5) == 0)
        #expect(try chosen(0.4, 0.4) == 3)
        #expect(try chosen(0.999, 0.5) == -1)
        // Sampling counts: a density of 0.99 plus 5 % of the rows is no gain.
        let useless = RetainedMassFloor(mean: try Fraction(0.1), p1: try Fraction(0.1))
            .cheapest([trial(0, mean: 1, p1: 1, density: 0.99)], length: 10, layer: 0, head: 0)
        #expect(useless.parameters == .dense)
    }
}

@Suite struct StudyJournalTests {
    static let header = StudyHeader(
        model: .init(
            family: "llama", layers: 2, queryHeads: 1, keyValueHeads: 1, headDimension: 8, weightsSHA256: "w", tokenizerSHA256: "t"),
        textSHA256: ["t"], seed: 1, trialsPerHead: 4, space: SearchSpace(), instructionSet: "scalar", precision: .fp32)

    static func trial(_ number: Int) -> FrozenTrial {
        FrozenTrial(
            length: 100, layer: 1, head: 0, number: number, parameters: .standard,
            measured: .init(meanMass: 0.1 + 0.2, p1Mass: 1.0 / 3, minMass: 1e-17, density: 0.5))
    }

    func withPath(_ body: (String) throws -> Void) throws {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString + ".jsonl")
        defer { try? FileManager.default.removeItem(at: url) }
        try body(url.path)
    }

    @Test func recordsComeBackExactly() throws {
        try withPath { path in
            let journal = try StudyJournal(study: path, header: Self.header, resume: false)
            try journal.append([Self.trial(0), Self.trial(1)])
            try journal.append([Self.trial(2)])
            let again = try StudyJournal(study: path, header: Self.header, resume: true)
            #expect(again.recorded == (0..<3).map(Self.trial))
        }
    }

    /// What a crash leaves: a line cut anywhere is dropped, and the journal goes on cleanly after the last whole one.
    @Test(arguments: [1, 5, 40]) func aCutLineIsDropped(cut: Int) throws {
        try withPath { path in
            let journal = try StudyJournal(study: path, header: Self.header, resume: false)
            try journal.append([Self.trial(0), Self.trial(1)])
            let data = try Data(contentsOf: URL(fileURLWithPath: path))
            try data.dropLast(cut).write(to: URL(fileURLWithPath: path))
            let resumed = try StudyJournal(study: path, header: Self.header, resume: true)
            #expect(resumed.recorded == [Self.trial(0)])
            try resumed.append([Self.trial(1)])
            #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == data)
        }
    }

    @Test func nothingIsOverwrittenAndOtherStudiesAreRefused() throws {
        try withPath { path in
            _ = try StudyJournal(study: path, header: Self.header, resume: false)
            #expect(throws: InputError.self) { try StudyJournal(study: path, header: Self.header, resume: false) }
            var drawn = Self.header
            drawn.seed = 2
            var rounded = Self.header
            rounded.precision = .bf16
            for other in [drawn, rounded] {
                #expect(throws: InputError.self) { try StudyJournal(study: path, header: other, resume: true) }
            }
            try Data("not json\n".utf8).write(to: URL(fileURLWithPath: path))
            #expect(throws: InputError.self) { try StudyJournal(study: path, header: Self.header, resume: true) }
        }
        #expect(throws: InputError.self) { try StudyJournal(study: "/dev/null/x", header: Self.header, resume: false) }
    }
}
