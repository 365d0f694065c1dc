import AttentionCore
import AttentionKernels
import AttentionTestSupport
import HeadProfiling
import Parallelism
import SampleAttention
import Testing

@Suite struct HeadProfilerTests {
    static let alphas = [0.5, 0.9, 0.95, 0.999, 1]

    func measure(_ oracle: NaiveAttention, _ patterns: [SparsePattern], threads: Int = 2) throws -> [HeadMeasurement] {
        let profiler = HeadProfiler(kernel: try AttentionKernel(pool: WorkerPool(threads: threads)))
        let scale = ProfileScale(alphas: try Self.alphas.map { try Fraction($0) })
        return try oracle.withTensors { query, key, value in
            try profiler.profile(
                layer: 3, inputs: .init(query: query, key: key, value: value), patterns: patterns,
                sampledMasses: patterns.map { _ in 0.5 }, scale: scale, workspace: AttentionWorkspace())
        }
    }

    func profile(_ oracle: NaiveAttention, _ patterns: [SparsePattern], threads: Int = 2) throws -> [HeadProfile] {
        try measure(oracle, patterns, threads: threads).map(\.profile)
    }

    /// SD(α) by sorting every row in double precision.
    func fewestKeys(_ oracle: NaiveAttention, head: Int, alpha: Double) -> Int {
        (0..<oracle.shape.queryCount).reduce(0) { total, row in
            var mass = 0.0
            var count = 0
            for p in oracle.probabilities(head: head, row: row).sorted(by: >) {
                if mass >= alpha { break }
                mass += p
                count += 1
            }
            return total + count
        }
    }

    @Test(arguments: [(150, 150), (70, 200)]) func matchesTheDefinition(queries: Int, keys: Int) throws {
        let shape = AttentionShape(queryHeads: 4, keyValueHeads: 2, queryCount: queries, keyCount: keys, headDimension: 12)
        let oracle = NaiveAttention(shape: shape, seed: 21, spread: 2)
        let patterns: [SparsePattern] = [
            .dense, .windowColumns(WindowColumns(window: 9, columns: [0, 3, 40, 41, 149], denseLastRows: 11)),
            .windowColumns(WindowColumns(window: 1, columns: [])), .windowColumns(WindowColumns(window: 500, columns: [7])),
        ]
        for profile in try profile(oracle, patterns) {
            #expect(profile.layer == 3)
            for (alpha, degree) in zip(Self.alphas, profile.sparsityDegrees) where alpha < 0.9999 {
                let expected = 1 - Double(fewestKeys(oracle, head: profile.head, alpha: alpha)) / Double(shape.causalPairs)
                // FP32 probabilities may cross the threshold one key earlier or later in a row.
                #expect(abs(degree - expected) <= 2.0 / Double(shape.causalPairs) + 1e-12, "α \(alpha) head \(profile.head)")
            }
            #expect(zip(profile.sparsityDegrees, profile.sparsityDegrees.dropFirst()).allSatisfy { $0 >= $1 })
            let masses = (0..<queries).map { row in
                let position = shape.firstPosition + row
                return oracle.probabilities(head: profile.head, row: row).enumerated().reduce(0.0) { sum, entry in
                    patterns[profile.head].keeps(key: entry.offset, position: position, shape: shape) ? sum + entry.element : sum
                }
            }
            let expected = RetainedMass(rows: masses)
            #expect(abs(profile.retained.mean - expected.mean) < 1e-6)
            #expect(abs(profile.retained.minimum - expected.minimum) < 1e-6)
            #expect(abs(profile.retained.p1 - expected.p1) < 1e-6)
            #expect(abs(profile.retained.p5 - expected.p5) < 1e-6)
            if profile.retained.minimum < 0.999 { #expect(profile.retained.worstQuery == expected.worstQuery) }
            #expect(profile.density == patterns[profile.head].density(shape))
        }
    }

    /// Blocks, alone and beside a window and columns that overlap them, with cached keys and dense last rows.
    @Test func blocksRetainWhatThePatternKeeps() throws {
        let shape = AttentionShape(queryHeads: 4, keyValueHeads: 2, queryCount: 330, keyCount: 400, headDimension: 4)
        let oracle = NaiveAttention(shape: shape, seed: 5, spread: 2)
        let lines = SparsePattern.columnsSlashes(ColumnsSlashes(columns: [1], slashes: [2], denseLastRows: 3))
        let mask = SparsePattern.blocks(BlockMask(blocks: 4) { $0 == 3 && $1 == 1 })
        let stripes = SparsePattern.windowColumns(WindowColumns(window: 30, columns: [0, 140, 290]))
        let patterns = [lines, mask, .union([stripes, mask]), .union([lines, .dense])]
        for profile in try profile(oracle, patterns) {
            let pattern = patterns[profile.head]
            let masses = (0..<shape.queryCount).map { row in
                oracle.probabilities(head: profile.head, row: row).enumerated().reduce(0.0) { sum, entry in
                    pattern.keeps(key: entry.offset, position: shape.firstPosition + row, shape: shape) ? sum + entry.element : sum
                }
            }
            let expected = RetainedMass(rows: masses)
            #expect(abs(profile.retained.mean - expected.mean) < 1e-6, "head \(profile.head)")
            #expect(abs(profile.retained.minimum - expected.minimum) < 1e-6, "head \(profile.head)")
            #expect(profile.density == pattern.density(shape))
            #expect([(1, 0), (1, 0), (30, 3), (400, 0)][profile.head] == (profile.window, profile.columns))
        }
    }

    @Test func threadsDoNotChangeTheProfile() throws {
        let shape = AttentionShape(queryHeads: 2, keyValueHeads: 1, queryCount: 200, keyCount: 200, headDimension: 8)
        let oracle = NaiveAttention(shape: shape, seed: 2)
        let patterns = Array(repeating: SparsePattern.windowColumns(WindowColumns(window: 20, columns: [0])), count: 2)
        let (one, three) = (try profile(oracle, patterns, threads: 1), try profile(oracle, patterns, threads: 3))
        #expect(one == three)
    }

    /// Each of Q, K and V, in a row that the others do not see; and scores beyond FP32.
    @Test func brokenHeadsHaveNoProfile() throws {
        let shape = AttentionShape(queryHeads: 4, keyValueHeads: 2, queryCount: 150, keyCount: 200, headDimension: 12)
        let oracle = NaiveAttention(shape: shape, seed: 9)
        let faults: [(NaiveAttention, String)] = [
            (oracle.with(brokenKey: 199), "layer 3, key-value head 0, key 199: nan: "),
            (oracle.with(brokenKey: 3, as: -.infinity), "layer 3, key-value head 0, key 3: -inf: "),
            (oracle.with(brokenQuery: 149, head: 2, as: .infinity), "layer 3, head 2, query 149: inf: "),
            (oracle.with(brokenValue: 60), "layer 3, key-value head 1, value 60: nan: "),
            (oracle.with(queriesAndKeysTimes: 1e19), "layer 3, head 0: queries of L1 norm "),
        ]
        let patterns = [SparsePattern](repeating: .windowColumns(WindowColumns(window: 20, columns: [])), count: 4)
        let profiler = HeadProfiler(kernel: try AttentionKernel(pool: WorkerPool(threads: 2)))
        for (fault, place) in faults {
            let refusals = [
                try #require(throws: InputError.self) { try profile(fault, patterns) },
                try #require(throws: InputError.self) {
                    try fault.withTensors { query, key, value in
                        _ = try profiler.retainedMasses(
                            layer: 3, inputs: .init(query: query, key: key, value: value), patterns: patterns.map { [$0] },
                            workspace: AttentionWorkspace())
                    }
                },
            ]
            for error in refusals { #expect(error.code == .invalidData && error.description.hasPrefix(place), "\(error)") }
        }
    }

    /// Neither the mean nor a percentile hides a row that is not a number, and the row is named.
    @Test func massesOfBrokenRowsAreNoNumbers() {
        for place in [0, 1, 50, 99] {
            var rows = (0..<100).map { Double($0) / 100 }
            rows[place] = .nan
            let mass = RetainedMass(rows: rows)
            #expect([mass.mean, mass.minimum, mass.p1, mass.p5, mass.median].allSatisfy { $0.isNaN }, "\(mass)")
            #expect(mass.worstQuery == place)
        }
        // log-sum-exps of kept and of all keys: both NaN, all of them −∞ or +∞, more kept than there is by rounding, and by half.
        let shape = AttentionShape(queryHeads: 1, keyValueHeads: 1, queryCount: 1, keyCount: 1, headDimension: 1)
        let cases: [(kept: Float, all: Float, mass: Double)] = [
            (.nan, .nan, .nan), (.nan, 1, .nan), (1, .nan, .nan), (-.infinity, -.infinity, .nan), (.infinity, .infinity, .nan),
            (1, -.infinity, .nan), (-.infinity, 1, 0), (1.0000001, 1, 1), (1, 1, 1),
        ]
        for (kept, all, expected) in cases {
            let mass = RetainedMass(head: 0, of: shape, kept: [kept], all: [all]).mean
            #expect(expected.isNaN ? mass.isNaN : mass == expected, "\(kept), \(all): \(mass)")
        }
    }

    @Test func percentilesInterpolate() {
        let mass = RetainedMass(rows: (0...100).map { Double($0) / 100 })
        #expect(mass.minimum == 0 && mass.worstQuery == 0)
        #expect(abs(mass.p1 - 0.01) < 1e-12 && abs(mass.p5 - 0.05) < 1e-12 && abs(mass.median - 0.5) < 1e-12)
        #expect(abs(mass.mean - 0.5) < 1e-12)
    }
}
