import AttentionCore
import AttentionKernels
import CAttentionKernels
import Parallelism
import Testing

/// Scores in eight bits: every instruction set, and the tile registers modelled in C, must give exactly what whole numbers give.
@Suite struct Int8ScoresTests {
    /// The precision of tiles is of no account here; models have only one of them.
    static let variants = KernelVariant.all.filter { $0.precision == .bf16 }

    /// A row in eight bits, written down.
    struct Row: Equatable {
        var numbers: [Int8]
        var scale: Float

        init(_ row: ArraySlice<Float>) { self.init(row, scaledWith: row) }

        /// - Parameter neighbours: numbers whose largest magnitude makes the scale.
        init(_ row: ArraySlice<Float>, scaledWith neighbours: ArraySlice<Float>) {
            guard neighbours.allSatisfy(\.isFinite) else {
                (numbers, scale) = (row.map { _ in 1 }, .nan)
                return
            }
            let scale = (neighbours.map { abs($0) }.max() ?? 0) / 127
            numbers = row.map { scale > 0 ? Int8(max(-127, min(127, ($0 / scale).rounded(.toNearestOrAwayFromZero)))) : 0 }
            self.scale = scale
        }

        /// Keys, of which each sixteen from the first on have one scale.
        static func keys(_ rows: [ArraySlice<Float>]) -> [Row] {
            rows.indices.map { key in
                let first = key / 16 * 16
                return Row(rows[key], scaledWith: Array(rows[first..<min(first + 16, rows.count)].joined())[...])
            }
        }
    }

    /// What the kernels must give, out of whole numbers.
    struct Expected {
        private let queries, keys: [Row]
        /// [key][query], before the query's scale.
        private let scores: [[Float]]

        init(queries: [Row], keys: [Row]) {
            (self.queries, self.keys) = (queries, keys)
            scores = keys.map { key in queries.map { key.scale * Float(Self.sum($0.numbers, key.numbers)) } }
        }

        /// Of rows that stand `stride` apart.
        init(q: [Float], rows: Int, k: [Float], count: Int, stride: Int, dimension: Int) {
            func all(_ x: [Float], _ count: Int) -> [ArraySlice<Float>] { (0..<count).map { x[$0 * stride..<$0 * stride + dimension] } }
            self.init(queries: all(q, rows).map { Row($0) }, keys: Row.keys(all(k, count)))
        }

        private static func sum(_ a: [Int8], _ b: [Int8]) -> Int32 {
            a.withUnsafeBufferPointer { a in
                b.withUnsafeBufferPointer { b in
                    var (sum, t) = (Int32(0), 0)
                    while t < a.count {
                        sum += Int32(a[t]) * Int32(b[t])
                        t += 1
                    }
                    return sum
                }
            }
        }

        /// The maxima of the first rows over the first keys, [group][lane].
        func maxima(rows: Int, count: Int, group: Int) -> [Float] {
            stride(from: 0, to: count, by: group).flatMap { first -> [Float] in
                let own = first..<min(first + group, count)
                return (0..<64).map { lane -> Float in
                    // A lane without a row has zeros, and nothing where it has no key.
                    guard lane < rows else { return own.allSatisfy { keys[$0].scale.isNaN } ? .nan : 0 }
                    var most = -Float.infinity
                    for key in own where scores[key][lane] > most { most = scores[key][lane] }
                    return queries[lane].scale * most
                }
            }
        }
    }

    /// Equal numbers, or not numbers both.
    static func areSame(_ a: [Float], _ b: [Float]) -> Bool {
        a.count == b.count && zip(a, b).allSatisfy { $0 == $1 || $0.isNaN && $1.isNaN }
    }

    /// Packs and scores with guards around all that is written, which must stand afterwards.
    static func maxima(
        _ variant: KernelVariant, q: [Float], rows: Int, k: [Float], count: Int, stride: Int, dimension: Int, group: Int
    ) -> [Float] {
        let kernels = variant.table.functions
        let groups = (count + group - 1) / group
        let queries = GuardedRoom<UInt8>(Int(kernels.int8_query_bytes(Int32(dimension))), guarding: 0xA5)
        let keys = GuardedRoom<UInt8>(Int(kernels.int8_key_bytes(count, Int32(dimension))), guarding: 0xA5)
        let queryScales = GuardedRoom<Float>(64, guarding: 7), keyScales = GuardedRoom<Float>((count + 15) / 16, guarding: 7)
        let output = GuardedRoom<Float>(groups * 64, guarding: 7)
        kernels.pack_int8_queries(q, stride, Int32(rows), Int32(dimension), queries.base, queryScales.base)
        kernels.pack_int8_keys(k, stride, Int32(count), Int32(dimension), keys.base, keyScales.base)
        kernels.int8_maxima(
            queries.base, queryScales.base, keys.base, keyScales.base, Int32(count), Int32(dimension), Int32(group), output.base)
        #expect(queries.isIntact && keys.isIntact && queryScales.isIntact && keyScales.isIntact && output.isIntact)
        return output.contents
    }

    /// Rows of many magnitudes, so that the largest score is no matter of the numbers alone.
    static func random(rows: Int, stride: Int, seed: UInt64) -> [Float] {
        var x = MicrokernelTests.random(rows * stride, seed)
        for index in x.indices { x[index] *= Float(1 + 3 * (index / stride) % 7) }
        return x
    }

    @Test(arguments: variants, [1, 16, 33, 64, 80, 96, 128, 192, 256])
    func areWhatWholeNumbersGive(variant: KernelVariant, dimension: Int) {
        let stride = dimension + 3, most = dimension == 33 || dimension == 128 ? 1000 : 100
        let q = Self.random(rows: 64, stride: stride, seed: 1), k = Self.random(rows: most, stride: stride, seed: 2)
        for count in [0, 1, 15, 16, 17, 100, 1000] where count <= most {
            // The last scale is of the keys that there are.
            let expected = Expected(q: q, rows: 64, k: k, count: count, stride: stride, dimension: dimension)
            let rows = count == 100 ? 64 : 1 + (7 * count) % 64
            for group in [1, 16, 32, 64] where count < 1000 || group == 32 {
                let own = Self.maxima(variant, q: q, rows: rows, k: k, count: count, stride: stride, dimension: dimension, group: group)
                #expect(own == expected.maxima(rows: rows, count: count, group: group), "\(rows) rows, \(count) keys in groups of \(group)")
            }
        }
    }

    /// Products at the ends of eight bits, where sums of pairs leave sixteen bits, and both signs of every operand.
    @Test(arguments: variants) func largestNumbersDoNotSaturate(variant: KernelVariant) {
        let dimension = 256
        let signs: [Float] = [1, -1]
        let q = (0..<64).flatMap { row in Array(repeating: signs[row % 2], count: dimension) }
        let k = (0..<4).flatMap { row in Array(repeating: signs[row / 2], count: dimension) }
        let own = Self.maxima(variant, q: q, rows: 64, k: k, count: 4, stride: dimension, dimension: dimension, group: 1)
        let scale: Float = 1 / 127
        let largest = scale * (scale * Float(256 * 127 * 127))
        #expect(own == (0..<4 * 64).map { signs[$0 / 64 / 2] * signs[$0 % 2] * largest })
    }

    /// Zeros score 0 and divide by nothing; a key that is not finite is passed over with its neighbours; a query that is not gives NaN
    /// alone.
    @Test(arguments: variants, [5, 64, 70]) func zerosAndWhatIsNotFinite(variant: KernelVariant, dimension: Int) {
        var q = Self.random(rows: 20, stride: dimension, seed: 3), k = Self.random(rows: 50, stride: dimension, seed: 4)
        for t in 0..<dimension { (q[3 * dimension + t], k[2 * dimension + t], k[dimension + t]) = (0, 0, -0.0) }
        (q[5 * dimension], q[6 * dimension + 1], k[36 * dimension + 4]) = (.nan, -.infinity, .nan)
        for key in 16..<32 { k[key * dimension] = .infinity }
        // So small that the scale rounds to few bits, or to none.
        for t in 0..<dimension { (k[48 * dimension + t], k[49 * dimension + t]) = (Float(t - 2) * 0x1p-143, 0x1p-149) }
        let expected = Expected(q: q, rows: 20, k: k, count: 50, stride: dimension, dimension: dimension)
        for group in [1, 16, 32] {
            let own = Self.maxima(
                variant, q: q, rows: 20, k: k, count: 50, stride: dimension, dimension: dimension, group: group)
            #expect(Self.areSame(own, expected.maxima(rows: 20, count: 50, group: group)), "groups of \(group)")
            let lanes = stride(from: 0, to: own.count, by: 64).map { Array(own[$0..<$0 + 64]) }
            #expect(lanes.allSatisfy { $0[5].isNaN && $0[6].isNaN })
            if group == 1 { #expect(lanes[2][0] == 0 && lanes[1][0] == 0 && lanes[0][3] == 0 && lanes[3][0].isFinite) }
            if group == 1 { #expect([16, 32, 36, 47].allSatisfy { lanes[$0][0] == -.infinity }) }
            if group == 16 { #expect([lanes[1][0], lanes[2][0]] == [-.infinity, -.infinity] && lanes[0][0].isFinite) }
            if group == 32 { #expect(lanes[0][0].isFinite && lanes[1][0].isFinite) }
        }
    }

    /// The rows of caches and those of scores are quantized alike.
    @Test(arguments: variants) func rowsAreTheCaches(variant: KernelVariant) {
        for count in [0, 1, 15, 16, 17, 100] {
            let ties: [Float] = [127, 0.5, -0.5, 1.5, -2.5, 63.499996, 0.49999997, -126.5]
            for row in [
                MicrokernelTests.random(count, 5), (0..<count).map { ties[$0 % ties.count] }, Array(repeating: 0, count: count),
                Array(repeating: Float.infinity, count: count), Array(repeating: 0x1p-149, count: count),
            ] {
                let own = GuardedRoom<Int8>(count, guarding: 99), kept = GuardedRoom<Int8>(count, guarding: 99)
                let scale = variant.table.functions.quantize_row(row, Int32(count), own.base)
                var keptScale: Float = -1
                RowFormat.int8.keep(row, count: count, numbers: kept.base, scale: &keptScale)
                let expected = Row(row[...])
                #expect(own.contents == expected.numbers && kept.contents == expected.numbers && own.isIntact && kept.isIntact)
                #expect(Self.areSame([scale, keptScale], [expected.scale, expected.scale]))
            }
        }
    }

    /// Several heads, packed by several threads, and a query block that takes one set of rows after another.
    @Test(arguments: variants) func headsArePackedOnce(variant: KernelVariant) throws {
        let (heads, tokens, dimension) = (2, 2100, 24)
        let flat = MicrokernelTests.random(heads * tokens * dimension, 6)
        let width = heads * dimension
        try flat.withUnsafeBufferPointer { x in
            let key = HeadTensor(projection: x.baseAddress!, heads: heads, tokens: tokens, dimension: dimension)
            let keys = try Int8Keys(key, kernel: variant.kernel(threads: 3))
            let queries = Int8Queries(for: keys)
            for (head, rows, count) in [(0, 17, 2100), (1, 9, 2099), (1, 64, 1), (0, 0, 40)] {
                queries.pack(key.row(head: head, token: 3), stride: width, count: rows, head: head)
                let output = GuardedRoom<Float>(Int8Keys.groups(keys: count, group: 32) * 64, guarding: 7)
                keys.maxima(of: queries, head: head, keys: count, group: 32, into: output.base)
                func own(_ tokens: Range<Int>) -> [ArraySlice<Float>] {
                    tokens.map { flat[$0 * width + head * dimension..<$0 * width + (head + 1) * dimension] }
                }
                // Keys have the scales that they were packed with, however many of them are scored.
                let packed = Row.keys(own(0..<tokens))
                let expected = Expected(queries: own(3..<3 + rows).map { Row($0) }, keys: Array(packed[..<count]))
                #expect(output.contents == expected.maxima(rows: rows, count: count, group: 32) && output.isIntact)
            }
        }
    }

    /// Parts of heads in some coordinates are what rows of these numbers alone are; parts of one head stand beside each other.
    @Test(arguments: variants) func partsHaveCoordinatesOfTheirOwn(variant: KernelVariant) {
        let (heads, tokens, dimension) = (2, 1100, 70)
        let flat = Self.random(rows: heads * tokens, stride: dimension, seed: 8)
        let width = heads * dimension
        let parts: [Int8Keys.Part] = [
            .init(head: 1, coordinates: [0, 3, 5, 69]), .init(head: 0), .init(head: 1, coordinates: Array(2..<68)), .init(head: 1),
        ]
        flat.withUnsafeBufferPointer { x in
            let key = HeadTensor(projection: x.baseAddress!, heads: heads, tokens: tokens, dimension: dimension)
            let keys = Int8Keys(key, parts: parts, kernel: variant.kernel(threads: 3))
            let queries = Int8Queries(for: keys)
            // One after the other, so that what is left of a longer row would show.
            for (number, rows, count) in [(3, 64, 1100), (0, 64, 1100), (2, 9, 1025), (1, 17, 40), (0, 1, 33)] {
                let part = parts[number], coordinates = part.coordinates ?? Array(0..<dimension)
                queries.pack(key.row(head: 0, token: 3), stride: width, count: rows, head: number)
                let output = GuardedRoom<Float>(Int8Keys.groups(keys: count, group: 32) * 64, guarding: 7)
                keys.maxima(of: queries, head: number, keys: count, group: 32, into: output.base)
                func own(_ tokens: Range<Int>, head: Int) -> [ArraySlice<Float>] {
                    tokens.map { token in coordinates.map { flat[token * width + head * dimension + $0] }[...] }
                }
                let packed = Row.keys(own(0..<tokens, head: part.head))
                let expected = Expected(queries: own(3..<3 + rows, head: 0).map { Row($0) }, keys: Array(packed[..<count]))
                #expect(output.contents == expected.maxima(rows: rows, count: count, group: 32) && output.isIntact, "part \(number)")
            }
        }
    }
}

/// Room with a guard on both sides.
private final class GuardedRoom<Element: BitwiseCopyable & Equatable> {
    private static var margin: Int { 256 }
    private let room: AlignedBuffer<Element>
    private let value: Element
    private let count: Int

    init(_ count: Int, guarding value: Element) {
        room = AlignedBuffer(count: count + 2 * Self.margin)
        room.elements.update(repeating: value)
        (self.count, self.value) = (count, value)
    }

    var base: UnsafeMutablePointer<Element> { room.base + Self.margin }
    var contents: [Element] { (0..<count).map { base[$0] } }
    var isIntact: Bool { (0..<Self.margin).allSatisfy { room[$0] == value && base[count + $0] == value } }
}
