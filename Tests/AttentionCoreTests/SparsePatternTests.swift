import AttentionCore
import Testing

@Suite struct SparsePatternTests {
    /// Shapes with every relation between window, columns, dense rows and a cached prefix.
    static let cases: [(AttentionShape, SparsePattern)] = {
        var random = SeededGenerator(seed: 11)
        return (0..<60).map { _ in
            let keys = 1 + Int(random.next() % 90)
            let queries = 1 + Int(random.next() % UInt64(keys))
            let columns = (0..<keys).filter { _ in random.uniform() < 0.2 }.map(Int32.init)
            let pattern = WindowColumns(
                window: 1 + Int(random.next() % 40), columns: columns, denseLastRows: Int(random.next() % 8))
            return (
                AttentionShape(queryHeads: 1, keyValueHeads: 1, queryCount: queries, keyCount: keys, headDimension: 4),
                .windowColumns(pattern)
            )
        }
    }()

    @Test(arguments: cases) func keptPairsCountsWhatKeepsAccepts(shape: AttentionShape, pattern: SparsePattern) {
        var counted = 0
        for position in shape.firstPosition..<shape.keyCount {
            for key in 0..<shape.keyCount where pattern.keeps(key: key, position: position, shape: shape) {
                #expect(key <= position)
                counted += 1
            }
        }
        #expect(pattern.keptPairs(shape) == counted)
        #expect(pattern.density(shape) <= 1)
    }

    @Test func denseKeepsAllCausalPairs() {
        let shape = AttentionShape(queryHeads: 2, keyValueHeads: 1, queryCount: 3, keyCount: 10, headDimension: 4)
        #expect(shape.causalPairs == 8 + 9 + 10)
        #expect(SparsePattern.dense.density(shape) == 1)
    }

    @Test func fractionRefusesPercentages() throws {
        for bad in [0, -0.1, 1.5, 8, .nan, .infinity] {
            #expect(throws: InputError.self) { try Fraction(bad, field: "alpha") }
        }
        #expect(try Fraction(0.05).ceiling(of: 100) == 5)
        #expect(try Fraction(0.05).ceiling(of: 101) == 6)
        #expect(try Fraction(1e-9).ceiling(of: 3) == 1)
    }

    @Test func errorsAreOneLine() {
        let error = InputError(.invalidData, file: "a\nb", field: "x", value: String(repeating: "y", count: 1000), rule: "rule")
        #expect(!error.description.contains("\n"))
        #expect(error.description.count < 400)
        #expect(Set(InputError.Code.allCases.map(\.exitCode)).count == InputError.Code.allCases.count)
    }
}
