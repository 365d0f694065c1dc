import AttentionCore
import AttentionKernels
import AttentionTestSupport
import HeadProfiling
import Parallelism
import SampleAttention
import Testing

/// Structured sparsity by key blocks against patterns ranked from probabilities in double precision and kept pair by kept pair.
@Suite struct KeyBlockStructureTests {
    /// Prompts around the edges of key, query and 128-token blocks, and queries after cached keys that begin inside each of them.
    static let cases: [(queries: Int, keys: Int, spread: Double)] = [
        (300, 300, 2), (257, 257, 6), (225, 225, 1), (130, 330, 0.5), (97, 333, 2), (200, 330, 1), (1, 200, 2), (70, 70, 3), (33, 33, 1),
        (5, 5, 1),
    ]

    static func profile(
        _ oracle: NaiveAttention, alphas: [Double], threads: Int = 2, on set: InstructionSet = .best
    ) throws -> [HeadProfile] {
        let profiler = HeadProfiler(kernel: try AttentionKernel(instructionSet: set, pool: WorkerPool(threads: threads)))
        let heads = oracle.shape.queryHeads
        return try oracle.withTensors { query, key, value in
            try profiler.profile(
                layer: 0, inputs: .init(query: query, key: key, value: value), patterns: Array(repeating: .dense, count: heads),
                sampledMasses: Array(repeating: nil, count: heads), scale: ProfileScale(alphas: alphas.map { try! Fraction($0) }),
                workspace: AttentionWorkspace()
            ).map(\.profile)
        }
    }

    /// The key blocks of each query block, from the first to be kept to the last: from its own to block 0, then by mass.
    static func ranking(_ rows: [[Double]], _ shape: AttentionShape) -> [[Int]] {
        (shape.firstPosition / 64...(shape.keyCount - 1) / 64).map { queryBlock in
            var mass = [Double](repeating: 0, count: (min(shape.keyCount, 64 * queryBlock + 64) + 31) / 32)
            for (row, p) in rows.enumerated() where (shape.firstPosition + row) / 64 == queryBlock {
                for (key, value) in p.enumerated() { mass[key / 32] += value }
            }
            for block in mass.indices where block >= 2 * queryBlock { mass[block] = .infinity }
            if queryBlock > 0 { mass[0] = .greatestFiniteMagnitude }
            return mass.indices.sorted { (-mass[$0], $0) < (-mass[$1], $1) }
        }
    }

    /// One step of a curve by definition.
    struct Kept {
        let lines: Int
        let least, mean, density: Double
    }

    static func kept(_ oracle: NaiveAttention, head: Int) -> [Kept] {
        let shape = oracle.shape
        let rows = (0..<shape.queryCount).map { oracle.probabilities(head: head, row: $0) }
        let ranked = ranking(rows, shape)
        let all = (shape.keyCount + 31) / 32
        // Up to 17 every number is a step.
        return (min(3, all)...all).map { count in
            let pattern = SparsePattern.windowKeyBlocks(
                WindowKeyBlocks(
                    window: 1, sinks: 0, blockTokens: 32, firstQueryBlock: shape.firstPosition / 64,
                    lists: ranked.map { $0.prefix(count).map(Int32.init).sorted() }))
            let masses = rows.enumerated().map { row, p in
                p.indices.reduce(0.0) {
                    pattern.keeps(key: $1, position: shape.firstPosition + row, shape: shape) ? $0 + p[$1] : $0
                }
            }
            return Kept(
                lines: count, least: masses.min()!, mean: masses.reduce(0, +) / Double(masses.count), density: pattern.density(shape))
        }
    }

    @Test(arguments: cases.indices) func curvesAreWhatTheirPatternsKeep(index: Int) throws {
        let made = Self.cases[index]
        let shape = AttentionShape(queryHeads: 2, keyValueHeads: 1, queryCount: made.queries, keyCount: made.keys, headDimension: 8)
        let oracle = NaiveAttention(shape: shape, seed: 47, spread: Float(made.spread))
        let alphas = (1...19).map { Double($0) / 20 } + [0.99]
        let expected = (0..<2).map { Self.kept(oracle, head: $0) }
        for set in InstructionSet.allCases where set.isAvailable {
            for profile in try Self.profile(oracle, alphas: alphas, on: set) {
                let curve = profile.keyBlockCurve
                try #require(curve.window == nil && curve.lines == expected[profile.head].map(\.lines))
                for (step, kept) in expected[profile.head].enumerated() {
                    #expect(abs(curve.leastMasses[step] - kept.least) < 2e-6, "\(set), \(kept.lines) blocks")
                    #expect(abs(curve.meanMasses[step] - kept.mean) < 2e-6, "\(set), \(kept.lines) blocks")
                    #expect(abs(curve.densities[step] - kept.density) < 1e-12, "\(set), \(kept.lines) blocks")
                }
                for (alpha, (every, mean)) in zip(alphas, zip(profile.structured, profile.structuredMean)) {
                    for (choice, masses) in [(every.keyBlocks, curve.leastMasses), (mean.keyBlocks, curve.meanMasses)] {
                        let step = try #require(masses.firstIndex { $0 >= alpha })
                        #expect(choice.lines == curve.lines[step] && choice.degree == 1 - curve.densities[step] && choice.window == nil)
                    }
                }
            }
        }
    }

    @Test func threadsDoNotChangeTheCurve() throws {
        let shape = AttentionShape(queryHeads: 2, keyValueHeads: 1, queryCount: 1100, keyCount: 1130, headDimension: 8)
        let oracle = NaiveAttention(shape: shape, seed: 2)
        let one = try Self.profile(oracle, alphas: [0.9], threads: 1)
        for threads in [2, 3, 5] { #expect(try Self.profile(oracle, alphas: [0.9], threads: threads) == one, "\(threads) threads") }
    }

    /// A head that looks things up: each row gives all its mass to one far key, its query block's rows to those of one key block, which
    /// no other query block looks at. Columns must keep nearly all of these keys for every row, slashes find no diagonal.
    @Test func onlyKeyBlocksFollowLookups() throws {
        let shape = AttentionShape(queryHeads: 1, keyValueHeads: 1, queryCount: 2048, keyCount: 2048, headDimension: 64)
        var random = SeededGenerator(seed: 8)
        let codes = (0..<2048 * 64).map { _ in Float(Bool.random(using: &random) ? -1.75 : 1.75) }
        var left = Set(1..<64)
        var queries: [Float] = []
        for queryBlock in 0..<32 {
            let candidates = left.filter { $0 < 2 * queryBlock }.sorted()
            let keyBlock = candidates.isEmpty ? 0 : candidates[Int.random(in: 0..<candidates.count, using: &random)]
            left.remove(keyBlock)
            for row in 0..<64 {
                let key = queryBlock == 0 ? row : 32 * keyBlock + row / 2
                queries += codes[64 * key..<64 * (key + 1)]
            }
        }
        let oracle = NaiveAttention(shape: shape, seed: 1).with(keys: codes).with(queries: queries)
        let profile = try Self.profile(oracle, alphas: [0.9])[0]
        // Own blocks hold 1 ... 64 keys, block 0 and the looked-up one 32 each, but in the first query block.
        let pairs = 32 * 64 * 65 / 2 + 31 * 64 * 64
        for structured in [profile.structured[0], profile.structuredMean[0]] {
            #expect(structured.keyBlocks.lines == 4)
            #expect(structured.best == structured.keyBlocks.degree)
            #expect(structured.windowColumns.degree < 0.6 && structured.columnsSlashes.degree < 0.6)
        }
        #expect(abs(profile.structured[0].keyBlocks.degree - (1 - Double(pairs) / Double(shape.causalPairs))) < 1e-12)
        #expect(profile.structured[0].keyBlocks.degree > 0.9)
    }
}
