import AttentionCore
import SampleAttention
import Testing

@Suite struct ColumnSlashSelectionTests {
    static func parameters(_ alpha: Double, slashes: Double? = nil, sinks: Int = 0) throws -> SampleAttentionParameters {
        var parameters = SampleAttentionParameters.standard
        parameters.pattern = .columnSlash
        parameters.alpha = try Fraction(alpha)
        parameters.alphaSlashes = try slashes.map { try Fraction($0) }
        parameters.sinks = sinks
        return parameters
    }

    /// Totals of 10 and of 20: each side reaches its own share of its own total.
    @Test func columnsAndSlashesReachTheirOwnShares() throws {
        let selection = ColumnSlashSelection.fewest(
            columnMass: [1, 4, 2, 3], slashMass: [8, 1, 6, 5], parameters: try Self.parameters(0.7, slashes: 0.9))
        #expect(selection.columns == [1, 3])
        #expect(selection.slashes == [0, 2, 3])
        #expect(abs(selection.columnShare - 0.7) < 1e-9 && abs(selection.slashShare - 0.95) < 1e-9)
        #expect(selection.sampledMass == selection.slashShare)
    }

    @Test func withoutAShareOfTheirOwnSlashesTakeAlpha() throws {
        let mass: [Float] = [5, 1, 3, 1]
        let one = ColumnSlashSelection.fewest(columnMass: mass, slashMass: mass, parameters: try Self.parameters(0.7))
        #expect(one.slashes == [0, 2])
        let own = ColumnSlashSelection.fewest(columnMass: mass, slashMass: mass, parameters: try Self.parameters(0.7, slashes: 0.7))
        #expect(one == own)
    }

    /// Slash 0 holds the query itself: without it a row could be empty.
    @Test func theDiagonalIsKeptAndCounts() throws {
        let selection = ColumnSlashSelection.fewest(
            columnMass: [1, 1], slashMass: [1, 2, 6, 1], parameters: try Self.parameters(0.5, slashes: 0.7))
        #expect(selection.slashes == [0, 2])
        let without = ColumnSlashSelection.fewest(
            columnMass: [1, 1], slashMass: [0, 1, 0], parameters: try Self.parameters(0.5, slashes: 0.01))
        #expect(without.slashes == [0, 1])
    }

    @Test(arguments: [(0, [3]), (1, [0, 3]), (128, [0, 3]), (129, [0, 1, 3]), (1 << 40, [0, 1, 2, 3])] as [(Int, [Int32])])
    func sinksKeepWholeBlocks(sinks: Int, columns: [Int32]) throws {
        let selection = ColumnSlashSelection.fewest(
            columnMass: [1, 1, 1, 20], slashMass: [1], parameters: try Self.parameters(0.8, sinks: sinks))
        #expect(selection.columns == columns)
    }

    @Test func aShareOfOneKeepsEverythingWithMass() throws {
        let mass: [Float] = [1e-30, 0, 3, 1e-7]
        let selection = ColumnSlashSelection.fewest(columnMass: mass, slashMass: mass, parameters: try Self.parameters(1))
        #expect(selection.columns == [0, 2, 3] && selection.slashes == [0, 2, 3])
        #expect(selection.columnShare == 1)
    }

    /// Masses are shares of their own total: a factor common to all changes nothing.
    @Test(arguments: UInt64(1)...6) func selectionIsMinimalWhateverTheScale(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let columns = (0..<256).map { _ in Float(random.uniform() * random.uniform()) }
        let slashes = (0..<256).map { _ in Float(random.uniform() * random.uniform()) }
        for alpha in [0.2, 0.5, 0.9, 0.99] {
            let parameters = try Self.parameters(alpha, slashes: 1.01 - alpha)
            let selection = ColumnSlashSelection.fewest(columnMass: columns, slashMass: slashes, parameters: parameters)
            let scaled = ColumnSlashSelection.fewest(
                columnMass: columns.map { $0 * 64 }, slashMass: slashes.map { $0 / 8 }, parameters: parameters)
            #expect(scaled == selection, "seed \(seed)")
            #expect(selection.columnShare >= alpha && selection.slashShare >= 1.01 - alpha, "seed \(seed)")
            let total = columns.reduce(0.0) { $0 + Double($1) }
            let fewer = columns.sorted(by: >).prefix(selection.columns.count - 1).reduce(0.0) { $0 + Double($1) }
            #expect(fewer < alpha * total, "seed \(seed)")
            #expect(selection.columns == selection.columns.sorted() && selection.slashes == selection.slashes.sorted())
        }
    }

    @Test func nothingToSelectFrom() throws {
        let selection = ColumnSlashSelection.fewest(columnMass: [0, 0], slashMass: [0, 0], parameters: try Self.parameters(0.9))
        #expect(selection.columns.isEmpty && selection.slashes == [0])
        #expect(selection.sampledMass == 1)
    }
}
