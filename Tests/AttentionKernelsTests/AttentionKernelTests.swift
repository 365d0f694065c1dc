import AttentionCore
import AttentionKernels
import AttentionTestSupport
import Parallelism
import Testing

/// The ladder: each instruction set against the double-precision oracle, on every kind of pattern and shape.
@Suite struct AttentionKernelTests {
    static let instructionSets = InstructionSet.allCases.filter(\.isAvailable)

    struct Case: Sendable, CustomTestStringConvertible {
        let shape: AttentionShape
        let patterns: [SparsePattern]
        let seed: UInt64
        var testDescription: String { "\(shape) seed \(seed)" }
    }

    /// Around the block (64 rows) and tile (128 keys) sizes, grouped queries, cached prefixes, odd dimensions.
    static let cases: [Case] = {
        var random = SeededGenerator(seed: 5)
        var cases: [Case] = []
        for (queries, keys) in [
            (1, 1), (1, 200), (3, 140), (4, 4), (5, 5), (63, 63), (64, 64), (65, 65), (127, 300), (131, 131), (200, 333), (290, 290),
        ] {
            for dimension in [1, 7, 16, 64, 80] where keys < 150 || dimension == 64 {
                let shape = AttentionShape(queryHeads: 4, keyValueHeads: 2, queryCount: queries, keyCount: keys, headDimension: dimension)
                let patterns: [SparsePattern] = (0..<4).map { head in
                    if head == 0 { return .dense }
                    let share = [0, 0.02, 0.3, 0.9][head]
                    let columns = (0..<keys).filter { _ in random.uniform() < share }.map(Int32.init)
                    let window = head == 3 ? 1 + Int(random.next() % 20) : 1 + Int(random.next() % UInt64(keys))
                    return .windowColumns(WindowColumns(window: window, columns: columns, denseLastRows: head == 2 ? 9 : 0))
                }
                cases.append(Case(shape: shape, patterns: patterns, seed: random.next()))
            }
        }
        return cases
    }()

    /// Rounding of a sum of n products in FP32 is at most about n · 2⁻²⁴ relative to the sum of magnitudes; scores add
    /// d · 2⁻²⁴ · Σ|q k| in the exponent. Inputs are O(1), so 2⁻²⁴ · (keys + 8 d) with a factor 4 covers the worst seen.
    static func tolerance(_ shape: AttentionShape) -> Double { 4 * 0x1p-24 * Double(shape.keyCount + 8 * shape.headDimension) }

    /// BF16 rounds q, k, p and v by up to 2⁻⁸ each. A score so moves by at most 2⁻⁷ · Σ|q k|/√d, and the softmax relatively by
    /// twice that; p and v add 2⁻⁷. Roundings of both signs leave less: the limit is half of that worst case.
    static func coarseTolerance(_ oracle: NaiveAttention, head: Int, row: Int) -> Double {
        0x1p-8 * (1.1 + 2 * oracle.scoreMagnitude(head: head, row: row))
    }

    @Test(arguments: cases) func matchesOracle(test: Case) throws {
        try Self.compare(test) { test.patterns[$0].keeps(key: $1, position: $2, shape: test.shape) }
    }

    /// Capped scores and sinks that take nothing, a little, most and all of a row; few rows, which are done one by one, and many.
    @Test(
        arguments: [(1, 1), (1, 200), (4, 90), (64, 64), (131, 131), (200, 333)],
        [
            ScoreRule(softCap: 1.5), ScoreRule(sinks: [-40, -1, 3, 60]), ScoreRule(softCap: 1.5, sinks: [-40, -1, 3, 60]),
        ])
    func matchesOracleOnEveryScoreRule(size: (queries: Int, keys: Int), rule: ScoreRule) throws {
        var random = SeededGenerator(seed: 8)
        let shape = AttentionShape(
            queryHeads: 4, keyValueHeads: 2, queryCount: size.queries, keyCount: size.keys, headDimension: 20, scores: rule)
        let columns = (0..<size.keys).filter { _ in random.uniform() < 0.2 }.map(Int32.init)
        let sparse = SparsePattern.windowColumns(WindowColumns(window: 1 + size.keys / 3, columns: columns))
        let patterns: [SparsePattern] = [.dense, sparse, sparse, .dense]
        try Self.compare(Case(shape: shape, patterns: patterns, seed: 31)) { patterns[$0].keeps(key: $1, position: $2, shape: shape) }
    }

    /// Every kind of pattern and union, with blocks, columns and windows that overlap. Equal patterns on one key-value head share
    /// their gathered columns.
    @Test(arguments: PatternCase.all) func matchesOracleOnEveryPattern(test: PatternCase) throws {
        let shape = AttentionShape(
            queryHeads: 2, keyValueHeads: 1, queryCount: test.shape.queryCount, keyCount: test.shape.keyCount, headDimension: 4)
        try Self.compare(Case(shape: shape, patterns: [test.pattern, test.pattern], seed: 9)) { $1 <= $2 && test.keeps($1, $2) }
    }

    /// What a row must be, and how far from it BF16 may be.
    private struct Expected {
        let row: NaiveAttention.Row
        let coarseTolerance: Double
    }

    /// All instruction sets, both precisions, one lane block at a time and as many as share their tiles, against one oracle.
    static func compare(_ test: Case, keeps: (_ head: Int, _ key: Int, _ position: Int) -> Bool) throws {
        let shape = test.shape
        let oracle = NaiveAttention(shape: shape, seed: test.seed)
        let expected = (0..<shape.queryHeads).map { head in
            (0..<shape.queryCount).map { row in
                Expected(
                    row: oracle.row(head: head, row: row) { keeps(head, $0, shape.firstPosition + row) },
                    coarseTolerance: coarseTolerance(oracle, head: head, row: row))
            }
        }
        for variant in KernelVariant.all {
            let kernel = variant.kernel(threads: 2)
            for laneBlocks in [1, AttentionPlan.mostLaneBlocks] where laneBlocks == 1 || shape.queryCount > 64 {
                let result = try run(oracle, patterns: test.patterns, kernel: kernel, laneBlocks: laneBlocks)
                let worst = worst(result, expected, shape: shape, precision: kernel.precision)
                #expect(worst < 1, "\(variant.testDescription), \(laneBlocks) lane blocks: worst error is \(worst) of its limit")
            }
        }
    }

    /// The worst error in units of what it may be.
    private static func worst(
        _ result: (output: [Float], logSumExp: [Float]), _ expected: [[Expected]], shape: AttentionShape, precision: Precision
    ) -> Double {
        var worst = 0.0
        for head in 0..<shape.queryHeads {
            for row in 0..<shape.queryCount {
                let want = expected[head][row]
                let limit = precision == .fp32 ? tolerance(shape) : want.coarseTolerance
                for t in 0..<shape.headDimension {
                    let got = Double(result.output[(row * shape.queryHeads + head) * shape.headDimension + t])
                    worst = worse(worst, abs(got - want.row.output[t]) / (want.row.magnitude[t] + 1e-3) / limit)
                }
                worst = worse(worst, abs(Double(result.logSumExp[head * shape.queryCount + row]) - want.row.logSumExp) / limit)
            }
        }
        return worst
    }

    @Test(arguments: Precision.allCases) func threadsDoNotChangeTheAnswer(precision: Precision) throws {
        let test = Self.cases.last!
        let oracle = NaiveAttention(shape: test.shape, seed: test.seed)
        for laneBlocks in [1, AttentionPlan.mostLaneBlocks] {
            let results = try [1, 3].map {
                try Self.run(
                    oracle, patterns: test.patterns, instructionSet: .best, precision: precision, threads: $0, laneBlocks: laneBlocks)
            }
            #expect(results[0].output == results[1].output)
            #expect(results[0].logSumExp == results[1].logSumExp)
        }
    }

    /// A workspace that held other plans, larger and in another precision, gives the same answer as a new one.
    @Test func workspacesCanBeUsedAgain() throws {
        let workspace = AttentionWorkspace()
        for precision in [Precision.fp32, .bf16, .fp32] {
            for test in [Self.cases.last!, Self.cases[3], Self.cases.last!] {
                let oracle = NaiveAttention(shape: test.shape, seed: test.seed)
                func run(_ workspace: AttentionWorkspace) throws -> [Float] {
                    try Self.run(
                        oracle, patterns: test.patterns, instructionSet: .best, precision: precision, threads: 2, workspace: workspace
                    ).output
                }
                #expect(try run(workspace) == run(AttentionWorkspace()))
            }
        }
    }

    /// A key that is not a number must be seen in every row that keeps it, whatever path its scores take.
    @Test(arguments: KernelVariant.all, [8, 64]) func brokenKeysReachTheOutput(variant: KernelVariant, dimension: Int) throws {
        for queries in [1, 100] {
            let shape = AttentionShape(queryHeads: 1, keyValueHeads: 1, queryCount: queries, keyCount: 150, headDimension: dimension)
            let oracle = NaiveAttention(shape: shape, seed: 2).with(brokenKey: 20)
            let result = try Self.run(oracle, patterns: [.dense], kernel: variant.kernel(threads: 1))
            #expect(result.output.allSatisfy { $0.isNaN })
        }
    }

    @Test func hugeScoresDoNotOverflow() throws {
        let shape = AttentionShape(queryHeads: 1, keyValueHeads: 1, queryCount: 150, keyCount: 150, headDimension: 8)
        let oracle = NaiveAttention(shape: shape, seed: 1, spread: 100)
        for (instructionSet, precision) in Self.instructionSets.flatMap({ set in Precision.allCases.map { (set, $0) } }) {
            let result = try Self.run(oracle, patterns: [.dense], instructionSet: instructionSet, precision: precision, threads: 1)
            #expect(result.output.allSatisfy { $0.isFinite })
            #expect(result.logSumExp.allSatisfy { $0.isFinite })
        }
    }

    @Test func planRefusesColumnsThatAreNotKeys() {
        let shape = AttentionShape(queryHeads: 1, keyValueHeads: 1, queryCount: 4, keyCount: 4, headDimension: 8)
        #expect(throws: InputError.self) {
            try AttentionPlan(shape: shape, patterns: [.windowColumns(WindowColumns(window: 1, columns: [4]))])
        }
        #expect(throws: InputError.self) { try AttentionPlan(shape: shape, patterns: []) }
    }

    @Test func densityIsExact() throws {
        let shape = AttentionShape(queryHeads: 2, keyValueHeads: 1, queryCount: 100, keyCount: 100, headDimension: 8)
        let plan = try AttentionPlan(shape: shape, patterns: [.dense, .windowColumns(WindowColumns(window: 1, columns: []))])
        #expect(plan.density == (5050.0 + 100) / (2 * 5050))
    }

    static func run(
        _ oracle: NaiveAttention, patterns: [SparsePattern], instructionSet: InstructionSet, precision: Precision = .fp32, threads: Int,
        laneBlocks: Int = 1, workspace: AttentionWorkspace = AttentionWorkspace()
    ) throws -> (output: [Float], logSumExp: [Float]) {
        let kernel = try AttentionKernel(instructionSet: instructionSet, precision: precision, pool: WorkerPool(threads: threads))
        return try run(oracle, patterns: patterns, kernel: kernel, laneBlocks: laneBlocks, workspace: workspace)
    }

    static func run(
        _ oracle: NaiveAttention, patterns: [SparsePattern], kernel: AttentionKernel, laneBlocks: Int = 1,
        workspace: AttentionWorkspace = AttentionWorkspace()
    ) throws -> (output: [Float], logSumExp: [Float]) {
        let shape = oracle.shape
        var output = [Float](repeating: .nan, count: shape.queryCount * shape.queryHeads * shape.headDimension)
        var logSumExp = [Float](repeating: .nan, count: shape.queryHeads * shape.queryCount)
        let plan = try AttentionPlan(shape: shape, patterns: patterns, laneBlocks: laneBlocks)
        oracle.withTensors { query, key, value in
            output.withUnsafeMutableBufferPointer { out in
                logSumExp.withUnsafeMutableBufferPointer { lse in
                    kernel.run(
                        plan, query: query, key: key, value: value,
                        output: MutableHeadTensor(
                            projection: out.baseAddress!, heads: shape.queryHeads, tokens: shape.queryCount, dimension: shape.headDimension),
                        logSumExp: lse.baseAddress!, workspace: workspace)
                }
            }
        }
        return (output, logSumExp)
    }
}
