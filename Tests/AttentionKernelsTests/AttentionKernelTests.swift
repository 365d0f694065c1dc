import AttentionCore
import AttentionKernels
import AttentionTestSupport
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

    @Test(arguments: instructionSets, cases) func matchesOracle(instructionSet: InstructionSet, test: Case) throws {
        // One lane block at a time, and as many as share their tiles.
        for laneBlocks in [1, AttentionPlan.mostLaneBlocks] where laneBlocks == 1 || test.shape.queryCount > 64 {
            try matchesOracle(instructionSet: instructionSet, test: test, laneBlocks: laneBlocks)
        }
    }

    func matchesOracle(instructionSet: InstructionSet, test: Case, laneBlocks: Int) throws {
        let oracle = NaiveAttention(shape: test.shape, seed: test.seed)
        let result = try Self.run(
            oracle, patterns: test.patterns, instructionSet: instructionSet, threads: 2, laneBlocks: laneBlocks)
        let limit = Self.tolerance(test.shape)
        var worst = 0.0
        for head in 0..<test.shape.queryHeads {
            for row in 0..<test.shape.queryCount {
                let position = test.shape.firstPosition + row
                let expected = oracle.row(head: head, row: row) {
                    test.patterns[head].keeps(key: $0, position: position, shape: test.shape)
                }
                for t in 0..<test.shape.headDimension {
                    let got = Double(result.output[(row * test.shape.queryHeads + head) * test.shape.headDimension + t])
                    worst = max(worst, abs(got - expected.output[t]) / (expected.magnitude[t] + 1e-3))
                }
                worst = max(worst, abs(Double(result.logSumExp[head * test.shape.queryCount + row]) - expected.logSumExp))
            }
        }
        #expect(worst < limit, "worst error \(worst), limit \(limit)")
    }

    @Test func threadsDoNotChangeTheAnswer() throws {
        let test = Self.cases.last!
        let oracle = NaiveAttention(shape: test.shape, seed: test.seed)
        let one = try Self.run(oracle, patterns: test.patterns, instructionSet: .best, threads: 1)
        let three = try Self.run(oracle, patterns: test.patterns, instructionSet: .best, threads: 3)
        #expect(one.output == three.output)
    }

    @Test func hugeScoresDoNotOverflow() throws {
        let shape = AttentionShape(queryHeads: 1, keyValueHeads: 1, queryCount: 150, keyCount: 150, headDimension: 8)
        let oracle = NaiveAttention(shape: shape, seed: 1, spread: 100)
        for instructionSet in Self.instructionSets {
            let result = try Self.run(oracle, patterns: [.dense], instructionSet: instructionSet, threads: 1)
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
        _ oracle: NaiveAttention, patterns: [SparsePattern], instructionSet: InstructionSet, threads: Int, laneBlocks: Int = 1
    ) throws -> (output: [Float], logSumExp: [Float]) {
        let shape = oracle.shape
        var output = [Float](repeating: .nan, count: shape.queryCount * shape.queryHeads * shape.headDimension)
        var logSumExp = [Float](repeating: .nan, count: shape.queryHeads * shape.queryCount)
        let kernel = try AttentionKernel(instructionSet: instructionSet, pool: WorkerPool(threads: threads))
        let plan = try AttentionPlan(shape: shape, patterns: patterns, laneBlocks: laneBlocks)
        oracle.withTensors { query, key, value in
            output.withUnsafeMutableBufferPointer { out in
                logSumExp.withUnsafeMutableBufferPointer { lse in
                    kernel.run(
                        plan, query: query, key: key, value: value,
                        output: MutableHeadTensor(
                            projection: out.baseAddress!, heads: shape.queryHeads, tokens: shape.queryCount, dimension: shape.headDimension),
                        logSumExp: lse.baseAddress!, workspace: AttentionWorkspace())
                }
            }
        }
        return (output, logSumExp)
    }
}
