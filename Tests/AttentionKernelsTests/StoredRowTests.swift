import AttentionCore
import AttentionKernels
import AttentionTestSupport
import CAttentionKernels
import Testing

/// The kernels of stored rows: the scalar set against the definition in double precision, every other set against the scalar one.
@Suite struct StoredRowTests {
    static let formats = RowFormat.allCases

    /// What one call of each kernel leaves.
    private struct Results {
        var scores, highest, outputs, widened: [Float]
        var all: [Float] { scores + highest + outputs + widened }
    }

    /// Rows of a stride, queries and weights, all random; unused numbers between rows are not.
    private struct Case {
        let dimension: Int, count: Int, queries: Int
        let rows: RowsAsKept
        let query, weights, before: [Float]
        let stride: Int

        init(_ format: RowFormat, dimension: Int, count: Int, queries: Int) {
            (self.dimension, self.count, self.queries) = (dimension, count, queries)
            stride = dimension + 3
            rows = RowsAsKept(format, rows: count, dimension: stride, seed: 1)
            query = MicrokernelTests.random(queries * stride, 2)
            weights = MicrokernelTests.random(queries * (count + 2), 3)
            before = MicrokernelTests.random(queries * stride, 4)
        }

        func run(_ kernels: SARowKernelTable) -> Results {
            rows.withRows { rows in
                var rows = rows
                let d = Int32(dimension)
                var results = Results(
                    scores: Array(repeating: 0, count: queries * (count + 2)), highest: Array(repeating: -1e30, count: queries),
                    outputs: before, widened: Array(repeating: 7, count: count * (dimension + 1)))
                kernels.row_scores(
                    query, stride, Int32(queries), 0.5, &rows, d, &results.scores, count + 2, &results.highest)
                var weights = weights
                kernels.row_accumulate(&weights, count + 2, Int32(queries), &rows, d, &results.outputs, stride)
                kernels.row_widen(&rows, d, &results.widened, dimension + 1)
                return results
            }
        }
    }

    /// Around the vector width, the keys and the queries that go together, and four vectors of a dimension.
    static let extents: [(dimension: Int, count: Int)] = [
        (1, 1), (5, 3), (8, 4), (15, 17), (16, 16), (33, 40), (64, 9), (65, 130), (80, 33), (130, 5),
    ]

    @Test(arguments: formats, extents) func scalarKernelsAreTheDefinition(format: RowFormat, extents: (dimension: Int, count: Int)) {
        for queries in 1...5 {
            let test = Case(format, dimension: extents.dimension, count: extents.count, queries: queries)
            let got = test.run(Self.kernels(.scalar, format))
            for query in 0..<queries {
                let asked = test.query[query * test.stride..<query * test.stride + test.dimension].map(Double.init)
                var sums = test.before[query * test.stride..<query * test.stride + test.dimension].map(Double.init)
                var highest = -1e30
                for row in 0..<test.count {
                    let numbers = test.rows.numbers(row).prefix(test.dimension)
                    let score = 0.5 * zip(asked, numbers).reduce(0) { $0 + $1.0 * $1.1 }
                    highest = max(highest, score)
                    #expect(abs(Double(got.scores[query * (test.count + 2) + row]) - score) < 1e-4)
                    let weight = Double(test.weights[query * (test.count + 2) + row])
                    for (t, number) in numbers.enumerated() { sums[t] += weight * number }
                }
                #expect(abs(Double(got.highest[query]) - highest) < 1e-4)
                for (t, sum) in sums.enumerated() { #expect(abs(Double(got.outputs[query * test.stride + t]) - sum) < 1e-4) }
                // What stands between rows is somebody else's.
                #expect(
                    got.outputs[query * test.stride + test.dimension..<(query + 1) * test.stride]
                        == test.before[query * test.stride + test.dimension..<(query + 1) * test.stride])
            }
            for row in 0..<test.count {
                let widened = got.widened[row * (test.dimension + 1)..<(row + 1) * (test.dimension + 1)]
                #expect(zip(widened, test.rows.numbers(row)).prefix(test.dimension).allSatisfy { Double($0) == Double(Float($1)) })
                #expect(widened.last == 7)
            }
        }
    }

    @Test(arguments: MicrokernelTests.vectorSets, formats)
    func everySetDoesTheSame(set: InstructionSet, format: RowFormat) {
        for (dimension, count) in Self.extents {
            for queries in 1...9 {
                let test = Case(format, dimension: dimension, count: count, queries: queries)
                let (own, scalar) = (test.run(Self.kernels(set, format)), test.run(Self.kernels(.scalar, format)))
                let difference = MicrokernelTests.difference(own.all, scalar.all, floor: Float(count + 8))
                #expect(difference < 0x1p-22 * Float(max(dimension, count) + 8), "d \(dimension), \(count) rows, \(queries) queries")
                // Widening rounds as the reference does, to the last bit.
                #expect(own.widened == scalar.widened)
            }
        }
    }

    /// Not a number stays none, and the largest score passes over it; a finite row after it counts.
    @Test(arguments: AttentionKernelTests.instructionSets, formats) func whatIsNotANumberIsSeen(set: InstructionSet, format: RowFormat) {
        for broken in [0, 7, 18] {
            var test = RowsAsKept(format, rows: 19, dimension: 20, seed: 5)
            test.breakRow(broken)
            let query = MicrokernelTests.random(40, 6)
            test.withRows { rows in
                var rows = rows
                var (scores, highest) = ([Float](repeating: 0, count: 38), [Float](repeating: -.infinity, count: 2))
                var output = [Float](repeating: 0, count: 40)
                let kernels = Self.kernels(set, format)
                kernels.row_scores(query, 20, 2, 1, &rows, 20, &scores, 19, &highest)
                for query in 0..<2 {
                    let own = scores[query * 19..<(query + 1) * 19]
                    #expect(own.enumerated().allSatisfy { $1.isNaN == ($0 == broken) })
                    #expect(highest[query] == own.filter { !$0.isNaN }.max())
                }
                // Even a weight of 0 does not hide it.
                var weights = [Float](repeating: 0, count: 38)
                kernels.row_accumulate(&weights, 19, 2, &rows, 20, &output, 20)
                #expect(output.allSatisfy { $0.isNaN })
            }
        }
    }

    /// Floats that are kept and widened again.
    private static func kept(_ row: [Float], _ format: RowFormat) -> (floats: [Float], scale: Float) {
        var numbers = [UInt8](repeating: 0, count: row.count * format.numberBytes)
        var (scale, floats) = (Float(0), [Float](repeating: 0, count: row.count))
        numbers.withUnsafeMutableBytes { numbers in
            format.keep(row, count: row.count, numbers: numbers.baseAddress!, scale: &scale)
            withUnsafePointer(to: scale) { scale in
                var rows = SARows(numbers: numbers.baseAddress!, stride: row.count, scales: scale, count: 1)
                kernels(.scalar, format).row_widen(&rows, Int32(row.count), &floats, row.count)
            }
        }
        return (floats, scale)
    }

    @Test func rowsAreRoundedToNearest() {
        let row = MicrokernelTests.random(500, 21) + [1 + 0x1p-8, 1 + 0x3p-8, -1 - 0x1p-8, 0, -0x1p-120]
        #expect(Self.kept(row, .fp32).floats == row)
        let bf16 = Self.kept(row, .bf16).floats
        for (x, y) in zip(row, bf16) { #expect(abs(x - y) <= abs(x).binade * 0x1p-8, "\(x)") }
        // Ties go to the even neighbour.
        #expect(bf16[500...] == [1, 1 + 0x1p-6, -1, 0, -0x1p-120])
        let (int8, scale) = Self.kept(row, .int8)
        let largest = row.map { abs($0) }.max()!
        #expect(scale == largest / 127)
        for (x, y) in zip(row, int8) { #expect(abs(x - y) <= scale * 0.50001, "\(x)") }
        #expect(Self.kept([0, 0], .int8).floats == [0, 0])
    }

    @Test func rowsThatAreNotFiniteAreNotNumbers() {
        for broken in [Float.infinity, -.infinity, .nan] {
            for format in [RowFormat.bf16, .int8] {
                #expect(Self.kept([1, broken, 2], format).floats.allSatisfy { $0.isNaN }, "\(broken) in \(format)")
            }
        }
        // Rounds to infinity.
        #expect(Self.kept([1, .greatestFiniteMagnitude], .bf16).floats.allSatisfy { $0.isNaN })
    }

    private static func kernels(_ set: InstructionSet, _ format: RowFormat) -> SARowKernelTable {
        let functions = MicrokernelTests.kernels(set)
        return switch format {
        case .fp32: functions.rows_fp32
        case .bf16: functions.rows_bf16
        case .int8: functions.rows_int8
        }
    }
}

/// Random rows in a format, made number by number here so that they do not depend on what is tested.
struct RowsAsKept {
    let format: RowFormat
    let rows, dimension: Int
    private var bytes: [UInt8]
    private var scales: [Float]

    /// Rows [rows][dimension].
    init(_ format: RowFormat, rows: Int, dimension: Int, seed: UInt64) {
        (self.format, self.rows, self.dimension) = (format, rows, dimension)
        var random = SeededGenerator(seed: seed)
        bytes = []
        scales = format == .int8 ? (0..<rows).map { _ in Float(0.01 + 0.02 * random.uniform()) } : []
        for _ in 0..<rows * dimension {
            switch format {
            case .fp32: withUnsafeBytes(of: Float(random.normal())) { bytes += $0 }
            case .bf16: withUnsafeBytes(of: UInt16(Float(random.normal()).bitPattern >> 16)) { bytes += $0 }
            case .int8: withUnsafeBytes(of: Int8(Int(random.next() % 255) - 127)) { bytes += $0 }
            }
        }
    }

    /// What a row stands for.
    func numbers(_ row: Int) -> [Double] {
        (row * dimension..<(row + 1) * dimension).map { index in
            bytes.withUnsafeBytes { bytes in
                switch format {
                case .fp32: Double(bytes.load(fromByteOffset: 4 * index, as: Float.self))
                case .bf16: Double(Float(bitPattern: UInt32(bytes.load(fromByteOffset: 2 * index, as: UInt16.self)) << 16))
                case .int8: Double(scales[row] * Float(bytes.load(fromByteOffset: index, as: Int8.self)))
                }
            }
        }
    }

    /// Makes a row one that is not finite, as a cache keeps it.
    mutating func breakRow(_ row: Int) {
        let size = format.numberBytes
        for index in row * dimension..<(row + 1) * dimension {
            switch format {
            case .fp32: withUnsafeBytes(of: Float.nan) { bytes.replaceSubrange(index * size..<(index + 1) * size, with: $0) }
            case .bf16: withUnsafeBytes(of: UInt16(0x7FC0)) { bytes.replaceSubrange(index * size..<(index + 1) * size, with: $0) }
            case .int8: (bytes[index], scales[row]) = (1, .nan)
            }
        }
    }

    func withRows<Result>(_ body: (SARows) -> Result) -> Result {
        bytes.withUnsafeBytes { numbers in
            scales.withUnsafeBufferPointer { scales in
                body(
                    SARows(
                        numbers: numbers.baseAddress!, stride: dimension, scales: format == .int8 ? scales.baseAddress! : nil,
                        count: Int32(rows)))
            }
        }
    }

    /// As heads of so many rows each, of which the first `rows` are there.
    func withStored<Result>(heads: Int, rows count: Int, _ body: (StoredRows) throws -> Result) rethrows -> Result {
        try bytes.withUnsafeBytes { numbers in
            try scales.withUnsafeBufferPointer { scales in
                try body(
                    StoredRows(
                        format: format, numbers: numbers.baseAddress!, scales: format == .int8 ? scales.baseAddress! : nil, heads: heads,
                        rows: count, dimension: dimension, headStride: rows / heads))
            }
        }
    }
}
