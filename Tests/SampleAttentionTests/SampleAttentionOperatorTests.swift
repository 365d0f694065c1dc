import AttentionCore
import AttentionKernels
import AttentionTestSupport
import Parallelism
import SampleAttention
import Testing

@Suite struct SampleAttentionOperatorTests {
    static let shape = AttentionShape(queryHeads: 4, keyValueHeads: 2, queryCount: 300, keyCount: 300, headDimension: 16)

    func attend(_ oracle: NaiveAttention, _ parameters: [SampleAttentionParameters], promptLength: Int = 300) throws
        -> (output: [Float], report: AttentionReport)
    {
        let shape = oracle.shape
        let sampleAttention = SampleAttentionOperator(kernel: try AttentionKernel(pool: WorkerPool(threads: 2)))
        var output = [Float](repeating: 0, count: shape.queryCount * shape.queryHeads * shape.headDimension)
        let report = try oracle.withTensors { query, key, value in
            try output.withUnsafeMutableBufferPointer {
                try sampleAttention.attend(
                    .init(query: query, key: key, value: value), parameters: parameters, promptLength: promptLength,
                    output: MutableHeadTensor(
                        projection: $0.baseAddress!, heads: shape.queryHeads, tokens: shape.queryCount, dimension: shape.headDimension),
                    workspace: AttentionWorkspace())
            }
        }
        return (output, report)
    }

    @Test func alphaOneWithAllRowsEqualsDense() throws {
        let oracle = NaiveAttention(shape: Self.shape, seed: 4)
        var all = SampleAttentionParameters(alpha: .one, window: .tokens(3), sampleRatio: .one)
        all.denseLastRows = 0
        let sparse = try attend(oracle, Array(repeating: all, count: 4))
        let dense = try attend(oracle, Array(repeating: .dense, count: 4))
        #expect(sparse.report.density == 1)
        #expect(zip(sparse.output, dense.output).allSatisfy { abs($0 - $1) < 1e-5 })
    }

    @Test func headsKeepTheirOwnParameters() throws {
        let oracle = NaiveAttention(shape: Self.shape, seed: 5)
        var narrow = SampleAttentionParameters(alpha: try Fraction(0.01), window: .tokens(10), sampleRatio: try Fraction(0.1))
        narrow.denseLastRows = 0
        let result = try attend(oracle, [.dense, narrow, .standard, narrow])
        let causal = Self.shape.causalPairs
        #expect(result.report.keptPairs[0] == causal)
        #expect(result.report.keptPairs[1] < causal / 5)
        #expect(result.report.keptPairs[2] > result.report.keptPairs[1])
        #expect(result.report.sampledMass[0] == 1)
        #expect(try #require(result.report.sampledMass[2]) >= 0.95)
        for count in [1, 3, 5] {
            #expect(throws: InputError.self) { try attend(oracle, Array(repeating: .standard, count: count)) }
        }
    }

    /// A window keeps itself and the sinks, whatever the keys are, and looks at no row to choose.
    @Test func windowsSampleNothing() throws {
        let oracle = NaiveAttention(shape: Self.shape, seed: 6)
        var window = SampleAttentionParameters.window(tokens: 20, sinks: 3)
        window.denseLastRows = 7
        let result = try attend(oracle, [window, .dense, window, .standard])
        let expected = WindowColumns(window: 20, columns: [0, 1, 2], denseLastRows: 7)
        #expect(result.report.patterns[0] == .windowColumns(expected) && result.report.patterns[2] == .windowColumns(expected))
        #expect(result.report.sampledMass[0] == nil && result.report.sampledMass[3] != nil)
        for row in [0, 19, 150, 299] {
            let row = (row, oracle.row(head: 2, row: row) { key in key < 3 || key > row - 20 || row >= 293 }.output)
            for index in 0..<16 { #expect(abs(Double(result.output[(row.0 * 4 + 2) * 16 + index]) - row.1[index]) < 1e-5) }
        }
        // More sinks than keys.
        window.sinks = 1000
        #expect(try attend(oracle, Array(repeating: window, count: 4)).report.density == 1)
    }

    /// Window, sinks, and the blocks that selection found: each row is attention over these alone.
    @Test func keyBlocksAreAttended() throws {
        let oracle = NaiveAttention(shape: Self.shape, seed: 6)
        var blocks = SampleAttentionParameters.keyBlocks(count: 2, window: 40, sinks: 3)
        blocks.keyBlockTokens = 16
        blocks.denseLastRows = 7
        let result = try attend(oracle, [blocks, .dense, blocks, .standard])
        let pattern = result.report.patterns[2]
        #expect(result.report.sampledMass[0] == nil && result.report.sampledMass[3] != nil)
        guard case .windowKeyBlocks(let kept) = pattern else { return #expect(Bool(false), "\(pattern)") }
        #expect(kept.keyBlocks(queryBlock: 4).count == 2 && kept.keyBlocks(queryBlock: 0).count == 2)
        for row in [0, 19, 63, 64, 150, 292, 299] {
            let expected = oracle.row(head: 2, row: row) { pattern.keeps(key: $0, position: row, shape: Self.shape) }.output
            for index in 0..<16 { #expect(abs(Double(result.output[(row * 4 + 2) * 16 + index]) - expected[index]) < 1e-5, "row \(row)") }
        }
    }

    /// Last rows are dense at the prompt's end, not at a chunk's end.
    @Test func denseRowsBelongToThePromptsEnd() throws {
        let shape = AttentionShape(queryHeads: 1, keyValueHeads: 1, queryCount: 50, keyCount: 200, headDimension: 8)
        var parameters = SampleAttentionParameters(alpha: try Fraction(0.5), window: .ratio(try Fraction(0.1)), sampleRatio: .one)
        parameters.denseLastRows = 30
        let selection = HeadSelection.stripes(
            StripeSelection.fewest(columnMass: Array(repeating: 0, count: 200), rows: 50, parameters: parameters))
        func pattern(_ promptLength: Int) -> SparsePattern {
            SampleAttentionOperator.pattern(parameters, selection: selection, shape: shape, promptLength: promptLength)
        }
        #expect(pattern(200) == .windowColumns(WindowColumns(window: 20, columns: [], denseLastRows: 30)))
        #expect(pattern(210) == .windowColumns(WindowColumns(window: 21, columns: [], denseLastRows: 20)))
        #expect(pattern(1000) == .windowColumns(WindowColumns(window: 100, columns: [], denseLastRows: 0)))
    }

    /// Columns and slashes hold their shares, all of them are the dense pattern, and a head may differ from its neighbours.
    @Test func columnSlashHeads() throws {
        let shape = AttentionShape(queryHeads: 4, keyValueHeads: 2, queryCount: 700, keyCount: 700, headDimension: 16)
        let oracle = NaiveAttention(shape: shape, seed: 4)
        var half = SampleAttentionParameters.standard
        half.pattern = .columnSlash
        half.alpha = try Fraction(0.3)
        half.denseLastRows = 0
        var all = half
        all.alpha = .one
        all.sampling = .tailBlocks
        all.sampleRatio = try Fraction(0.5)
        let result = try attend(oracle, [.dense, half, all, .standard])
        #expect(result.report.keptPairs[1] < shape.causalPairs)
        #expect(result.report.keptPairs[2] == shape.causalPairs)
        #expect(try #require(result.report.sampledMass[1]) >= 0.3)
        #expect(result.report.sampledMass[2] == 1)
    }

    /// The paper's scoring pays twice for what the window holds; window-aware scoring keeps fewer pairs for the same mass.
    @Test func windowAwareScoringIsNeverDenser() throws {
        for seed in UInt64(1)...5 {
            let oracle = NaiveAttention(shape: Self.shape, seed: seed)
            let aware = try attend(oracle, Array(repeating: .standard, count: 4)).report.keptPairs
            let paper = try attend(oracle, Array(repeating: .paper, count: 4)).report.keptPairs
            #expect(zip(aware, paper).allSatisfy { $0 <= $1 }, "seed \(seed)")
        }
    }
}
