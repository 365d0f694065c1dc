import AttentionCore
import AttentionKernels
import AttentionTestSupport
import Parallelism
import SampleAttention
import Testing

/// Attention on arrays is attention on views.
@Suite struct ArrayAttentionTests {
    private static let shape = AttentionShape(queryHeads: 4, keyValueHeads: 2, queryCount: 150, keyCount: 400, headDimension: 16)

    private static func arrays(_ oracle: NaiveAttention) throws -> (query: HeadArray, key: HeadArray, value: HeadArray) {
        func array(_ numbers: [Float], heads: Int, tokens: Int) throws -> HeadArray {
            try HeadArray(numbers, heads: heads, tokens: tokens, dimension: shape.headDimension, layout: .tokenMajor)
        }
        return try (
            array(oracle.query, heads: shape.queryHeads, tokens: shape.queryCount),
            array(oracle.key, heads: shape.keyValueHeads, tokens: shape.keyCount),
            array(oracle.value, heads: shape.keyValueHeads, tokens: shape.keyCount)
        )
    }

    /// The same numbers in the other layout.
    private static func headMajor(_ array: HeadArray) throws -> HeadArray {
        try HeadArray(
            (0..<array.heads).flatMap { head in (0..<array.tokens).flatMap { array[head: head, token: $0] } }, heads: array.heads,
            tokens: array.tokens, dimension: array.dimension)
    }

    @Test func sampleAttentionOnArraysIsThatOnViews() throws {
        let oracle = NaiveAttention(shape: Self.shape, seed: 3, spread: 2)
        let operation = SampleAttentionOperator(kernel: try AttentionKernel(pool: WorkerPool(threads: 2)))
        var parameters = SampleAttentionParameters(alpha: try Fraction(0.8), window: .tokens(20), sampleRatio: try Fraction(0.2))
        parameters.denseLastRows = 8
        let heads = Array(repeating: parameters, count: Self.shape.queryHeads)
        let rows = Self.shape.queryHeads * Self.shape.queryCount
        let output = AlignedBuffer<Float>(count: rows * Self.shape.headDimension)
        let sums = AlignedBuffer<Float>(count: rows)
        let arrays = try Self.arrays(oracle)
        let expected = try oracle.withTensors { query, key, value in
            try operation.attend(
                LayerInputs(query: query, key: key, value: value), parameters: heads, promptLength: 500,
                output: MutableHeadTensor(
                    projection: output.base, heads: Self.shape.queryHeads, tokens: Self.shape.queryCount,
                    dimension: Self.shape.headDimension), logSumExp: sums.base, workspace: AttentionWorkspace())
        }
        let (given, report) = try operation.attend(
            query: arrays.query, key: arrays.key, value: arrays.value, parameters: heads, promptLength: 500)
        #expect(report.density < 0.9 && report.patterns == expected.patterns)
        #expect(given.heads.elements == Array(output.elements) && given.heads.layout == .tokenMajor)
        #expect(given.logSumExp == Array(sums.elements))
        let (other, _) = try operation.attend(
            query: Self.headMajor(arrays.query), key: arrays.key, value: Self.headMajor(arrays.value), parameters: heads, promptLength: 500)
        #expect(try other.heads == Self.headMajor(given.heads) && other.logSumExp == given.logSumExp)
    }

    @Test func aPlanRunsOnArrays() throws {
        let oracle = NaiveAttention(shape: Self.shape, seed: 4)
        let kernel = try AttentionKernel(pool: WorkerPool(threads: 1))
        let arrays = try Self.arrays(oracle)
        let plan = try AttentionPlan(shape: Self.shape, patterns: Array(repeating: .dense, count: Self.shape.queryHeads))
        let given = try kernel.run(plan, query: arrays.query, key: arrays.key, value: arrays.value, workspace: AttentionWorkspace())
        for (head, row) in [(0, 0), (3, 149), (2, 70)] {
            let want = oracle.row(head: head, row: row) { _ in true }
            let worst = zip(given.heads[head: head, token: row], want.output).reduce(0.0) { worse($0, abs(Double($1.0) - $1.1)) }
            // As `AttentionKernelTests.tolerance`, of outputs of O(1).
            #expect(worst < 4 * 0x1p-24 * Double(Self.shape.keyCount + 8 * Self.shape.headDimension))
        }
        let short = try AttentionPlan(
            shape: AttentionShape(queryHeads: 4, keyValueHeads: 2, queryCount: 149, keyCount: 400, headDimension: 16),
            patterns: Array(repeating: .dense, count: 4))
        #expect(throws: InputError.self) {
            try kernel.run(short, query: arrays.query, key: arrays.key, value: arrays.value, workspace: AttentionWorkspace())
        }
    }

    @Test func refusesWhatDoesNotFit() throws {
        let arrays = try Self.arrays(NaiveAttention(shape: Self.shape, seed: 5))
        let operation = SampleAttentionOperator(kernel: try AttentionKernel(pool: WorkerPool(threads: 1)))
        func field(heads: Int, promptLength: Int?, value: HeadArray) -> String? {
            let error = #expect(throws: InputError.self) {
                try operation.attend(
                    query: arrays.query, key: arrays.key, value: value, parameters: Array(repeating: .standard, count: heads),
                    promptLength: promptLength)
            }
            return error?.field
        }
        #expect(field(heads: 4, promptLength: 399, value: arrays.value) == "promptLength")
        #expect(field(heads: 3, promptLength: nil, value: arrays.value) == "parameters")
        #expect(field(heads: 4, promptLength: nil, value: arrays.query) == "value.heads")
    }
}
