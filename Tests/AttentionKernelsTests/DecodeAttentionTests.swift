import AttentionCore
import AttentionKernels
import AttentionTestSupport
import Parallelism
import Testing

/// One position over rows as they are kept, against attention by definition over the numbers that these stand for.
@Suite struct DecodeAttentionTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let queryHeads: Int, keyValueHeads: Int, dimension: Int, rows: Int
        var rule = ScoreRule.standard
        var testDescription: String { "\(queryHeads)/\(keyValueHeads) heads, d \(dimension), \(rows) rows" }
        var shape: AttentionShape {
            AttentionShape(
                queryHeads: queryHeads, keyValueHeads: keyValueHeads, queryCount: 1, keyCount: rows, headDimension: dimension,
                scores: rule)
        }
    }

    /// Around the pieces of 512 rows; groups of 1 to 5 heads; dimensions that no vector divides.
    static let cases = [
        Case(queryHeads: 1, keyValueHeads: 1, dimension: 1, rows: 1), Case(queryHeads: 4, keyValueHeads: 4, dimension: 16, rows: 511),
        Case(queryHeads: 4, keyValueHeads: 2, dimension: 7, rows: 512), Case(queryHeads: 6, keyValueHeads: 2, dimension: 64, rows: 513),
        Case(queryHeads: 9, keyValueHeads: 3, dimension: 80, rows: 1300), Case(queryHeads: 5, keyValueHeads: 1, dimension: 33, rows: 1025),
        Case(queryHeads: 12, keyValueHeads: 3, dimension: 128, rows: 40),
        Case(
            queryHeads: 4, keyValueHeads: 2, dimension: 24, rows: 700,
            rule: ScoreRule(softCap: 0.7, sinks: [-.infinity, -4, 1.5, 9])),
    ]

    /// Keys, values and a query; of each head more rows are kept than are there.
    private struct Inputs {
        let shape: AttentionShape
        var keys, values: RowsAsKept
        let query: [Float]
        static let spare = 3

        init(_ test: Case, _ format: RowFormat) {
            shape = test.shape
            let rows = test.keyValueHeads * (test.rows + Self.spare)
            keys = RowsAsKept(format, rows: rows, dimension: test.dimension, seed: 11)
            values = RowsAsKept(format, rows: rows, dimension: test.dimension, seed: 12)
            query = MicrokernelTests.random(test.queryHeads * test.dimension, 13)
        }

        func place(head: Int, row: Int) -> Int { head * (shape.keyCount + Self.spare) + row }

        var oracle: NaiveAttention {
            func tokens(_ rows: RowsAsKept) -> [Float] {
                (0..<shape.keyCount).flatMap { row in
                    (0..<shape.keyValueHeads).flatMap { rows.numbers(place(head: $0, row: row)).map(Float.init) }
                }
            }
            return NaiveAttention(shape: shape, seed: 1).with(queries: query).with(keys: tokens(keys)).with(values: tokens(values))
        }

        func run(_ set: InstructionSet = .best, threads: Int = 2, attention: DecodeAttention? = nil) throws -> [Float] {
            let attention =
                try attention
                ?? DecodeAttention(
                    queryHeads: shape.queryHeads, keyValueHeads: shape.keyValueHeads, headDimension: shape.headDimension,
                    capacity: shape.keyCount, kernel: AttentionKernel(instructionSet: set, pool: WorkerPool(threads: threads)))
            var output = [Float](repeating: 7, count: query.count)
            keys.withStored(heads: shape.keyValueHeads, rows: shape.keyCount) { keys in
                values.withStored(heads: shape.keyValueHeads, rows: shape.keyCount) { values in
                    attention.run(query: query, keys: keys, values: values, output: &output, rule: shape.scores)
                }
            }
            return output
        }
    }

    @Test(arguments: cases, RowFormat.allCases) func matchesTheDefinition(test: Case, format: RowFormat) throws {
        let inputs = Inputs(test, format)
        let oracle = inputs.oracle
        for set in AttentionKernelTests.instructionSets {
            let output = try inputs.run(set)
            for head in 0..<test.queryHeads {
                let want = oracle.row(head: head, row: 0) { _ in true }
                for t in 0..<test.dimension {
                    let error = abs(Double(output[head * test.dimension + t]) - want.output[t]) / (want.magnitude[t] + 1e-3)
                    #expect(error < AttentionKernelTests.tolerance(test.shape), "\(set), head \(head), \(t)")
                }
            }
        }
    }

    /// Whatever the threads, and whatever a run before left in the memory.
    @Test(arguments: RowFormat.allCases) func threadsAndEarlierRunsDoNotChangeTheAnswer(format: RowFormat) throws {
        let test = Case(queryHeads: 6, keyValueHeads: 2, dimension: 64, rows: 3000)
        let inputs = Inputs(test, format)
        let alone = try inputs.run(threads: 1)
        #expect(try inputs.run(threads: 3) == alone)
        let used = try DecodeAttention(
            queryHeads: 6, keyValueHeads: 2, headDimension: 64, capacity: 4000, kernel: AttentionKernel(pool: WorkerPool(threads: 2)))
        var broken = Inputs(Case(queryHeads: 6, keyValueHeads: 2, dimension: 64, rows: 4000), format)
        broken.values.breakRow(3999)
        #expect(try broken.run(attention: used).contains { $0.isNaN })
        #expect(try inputs.run(attention: used) == alone)
    }

    /// A row that is not a number is seen by its key-value head's queries, and by no other.
    @Test(arguments: RowFormat.allCases, [0, 511, 600, 1023]) func aBrokenRowIsSeen(format: RowFormat, row: Int) throws {
        let test = Case(queryHeads: 6, keyValueHeads: 2, dimension: 20, rows: 1024)
        for set in AttentionKernelTests.instructionSets {
            for part in [\Inputs.keys, \Inputs.values] {
                var inputs = Inputs(test, format)
                inputs[keyPath: part].breakRow(inputs.place(head: 1, row: row))
                let output = try inputs.run(set)
                #expect(output[..<60].allSatisfy { $0.isFinite } && output[60...].allSatisfy { $0.isNaN }, "\(set)")
                // Past the last row anything may stand.
                inputs = Inputs(test, format)
                let sound = try inputs.run(set)
                inputs[keyPath: part].breakRow(inputs.place(head: 1, row: 1024))
                #expect(try inputs.run(set) == sound, "\(set)")
            }
        }
    }

    /// Scores far apart: a piece whose scores are far below the others' adds nothing, and none overflows.
    @Test func scoresMayBeFarApart() throws {
        let test = Case(queryHeads: 2, keyValueHeads: 1, dimension: 8, rows: 1200)
        let shape = test.shape
        let oracle = NaiveAttention(shape: shape, seed: 3).with(keysFrom: 700, times: 300)
        let attention = try DecodeAttention(
            queryHeads: 2, keyValueHeads: 1, headDimension: 8, capacity: 1200, kernel: AttentionKernel(pool: WorkerPool(threads: 2)))
        var output = [Float](repeating: 0, count: 16)
        func stored(_ rows: [Float], _ body: (StoredRows) -> Void) {
            rows.withUnsafeBytes {
                body(StoredRows(format: .fp32, numbers: $0.baseAddress!, heads: 1, rows: 1200, dimension: 8, headStride: 1200))
            }
        }
        stored(oracle.key) { keys in
            stored(oracle.value) { values in attention.run(query: oracle.query, keys: keys, values: values, output: &output) }
        }
        for head in 0..<2 {
            let want = oracle.row(head: head, row: 0) { _ in true }
            for t in 0..<8 { #expect(abs(Double(output[head * 8 + t]) - want.output[t]) < 1e-3 * (want.magnitude[t] + 1)) }
        }
    }
}
