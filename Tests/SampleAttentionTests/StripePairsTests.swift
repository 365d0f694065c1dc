import AttentionCore
import SampleAttention
import Testing

@Suite struct StripePairsTests {
    private static func shape(_ length: Int) -> AttentionShape {
        AttentionShape(queryHeads: 1, keyValueHeads: 1, queryCount: length, keyCount: length, headDimension: 8)
    }

    /// Against the pattern that the kernel runs.
    @Test(arguments: [1, 2, 7, 64, 300], [1, 2, 63, 64, 299, 300, 999]) func pairsAreThePatterns(length: Int, window: Int) {
        let pairs = StripePairs(rows: length, window: window)
        for count in [0, 1, 5, length / 2, length] where count <= length {
            let pattern = WindowColumns(window: window, columns: (0..<Int32(count)).map(\.self))
            #expect(
                pairs.windowPairs + pairs.columnPairs(first: count)
                    == SparsePattern.windowColumns(pattern).keptPairs(Self.shape(length)), "\(length), \(window), \(count)")
        }
    }

    /// Columns spread evenly are counted right, whatever sinks and dense rows stand beside them; nearer the start, too many.
    @Test(arguments: [0, 4], [0, 64]) func evenlySpreadColumnsAreCounted(sinks: Int, denseLastRows: Int) {
        let length = 2000
        let pairs = StripePairs(rows: length - denseLastRows, window: 100)
        func kept(_ columns: [Int32]) -> Double {
            let pattern = WindowColumns(window: 100, columns: columns)
            return Double(
                SparsePattern.windowColumns(pattern).keptPairs(Self.shape(length - denseLastRows)))
        }
        let spread = (0..<Int32(sinks)).map(\.self) + (0..<50).map { Int32(sinks + $0 * pairs.reach / 50) }
        let count = pairs.columnCount(keeping: kept(spread), sinks: sinks) ?? -1
        #expect(abs(count - spread.count) <= 2, "\(count)")
        let first = (0..<Int32(sinks + 50)).map(\.self)
        let most = pairs.columnCount(keeping: kept(first), sinks: sinks) ?? -1
        #expect((first.count...sinks + 100).contains(most), "\(most)")
    }

    @Test func windowAndSinksAloneAreNoColumns() {
        let pairs = StripePairs(rows: 1000, window: 10)
        let alone = Double(pairs.windowPairs + pairs.columnPairs(first: 4))
        #expect(pairs.columnCount(keeping: alone, sinks: 4) == 4)
        #expect(pairs.columnCount(keeping: alone * (1 - 1e-12), sinks: 4) == 4)
        #expect(pairs.columnCount(keeping: alone + 1, sinks: 4) == 5)
        #expect(pairs.columnCount(keeping: alone - 5, sinks: 4) == nil)
        #expect(StripePairs(rows: 10, window: 99).columnCount(keeping: 55, sinks: 0) == 0)
        #expect(StripePairs(rows: -3, window: 5).columnCount(keeping: 0, sinks: 0) == 0)
    }
}
