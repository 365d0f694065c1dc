import AttentionCore
import SampleAttention
import Testing

@Suite struct StripeSelectionTests {
    static func parameters(_ alpha: Double, sinks: Int = 0, scoring: SampleAttentionParameters.ColumnScoring = .windowAware) throws
        -> SampleAttentionParameters
    {
        var parameters = SampleAttentionParameters(alpha: try Fraction(alpha), window: .tokens(4), sampleRatio: try Fraction(0.5))
        parameters.sinks = sinks
        parameters.columnScoring = scoring
        return parameters
    }

    /// Ten rows, 6 of their mass outside the window: α = 0.7 leaves 3 to find, which the two heaviest columns hold.
    @Test func windowAwareCountsTheWindowsMass() throws {
        let mass: [Float] = [0.5, 2, 0.5, 1.5, 1, 0.5]
        let selection = StripeSelection.fewest(columnMass: mass, rows: 10, parameters: try Self.parameters(0.7))
        #expect(selection.columns == [1, 3])
        #expect(abs(selection.sampledMass - 0.75) < 1e-9)
    }

    /// The paper's rule looks for 7 of 10 in columns alone.
    @Test func allMassIgnoresTheWindow() throws {
        let mass: [Float] = [0.5, 4, 0.5, 2.5, 1.5, 1]
        let selection = StripeSelection.fewest(columnMass: mass, rows: 10, parameters: try Self.parameters(0.7, scoring: .allMass))
        #expect(selection.columns == [1, 3, 4])
    }

    @Test func windowAloneMayBeEnough() throws {
        let selection = StripeSelection.fewest(columnMass: [0.1, 0.2], rows: 10, parameters: try Self.parameters(0.9))
        #expect(selection.columns.isEmpty)
    }

    @Test func sinksAreKeptFirstAndCount() throws {
        let mass: [Float] = [1, 0, 2, 1]
        let selection = StripeSelection.fewest(columnMass: mass, rows: 10, parameters: try Self.parameters(0.9, sinks: 2))
        #expect(selection.columns == [0, 1, 2])
    }

    @Test func tiesGoToTheLowerPosition() throws {
        let selection = StripeSelection.fewest(columnMass: [1, 1, 1, 1], rows: 4, parameters: try Self.parameters(0.5))
        #expect(selection.columns == [0, 1])
    }

    @Test func alphaOneKeepsEveryColumnWithMass() throws {
        let selection = StripeSelection.fewest(columnMass: [1e-30, 0, 3, 1e-7], rows: 10, parameters: try Self.parameters(1))
        #expect(selection.columns == [0, 2, 3])
    }

    /// A fixed count takes the heaviest, sinks among them, whatever α asks for; α = 1 and α near 0 change nothing.
    @Test(arguments: [0.01, 0.7, 1]) func columnCountReplacesAlpha(alpha: Double) throws {
        let mass: [Float] = [0.5, 2, 0.5, 1.5, 0, 0.5]
        func columns(_ count: Int, sinks: Int = 0) throws -> [Int32] {
            var parameters = try Self.parameters(alpha, sinks: sinks)
            parameters.columnCount = count
            return StripeSelection.fewest(columnMass: mass, rows: 10, parameters: parameters).columns
        }
        #expect(try columns(0) == [])
        #expect(try columns(2) == [1, 3])
        #expect(try columns(3) == [0, 1, 3])
        #expect(try columns(3, sinks: 1) == [0, 1, 3])
        #expect(try columns(2, sinks: 2) == [0, 1])
        #expect(try columns(99) == [0, 1, 2, 3, 5])
    }

    @Test func columnCountStillSaysWhatIsKept() throws {
        var parameters = try Self.parameters(0.7)
        parameters.columnCount = 1
        let selection = StripeSelection.fewest(columnMass: [0.5, 2, 0.5, 1.5, 1, 0.5], rows: 10, parameters: parameters)
        #expect(abs(selection.sampledMass - 0.6) < 1e-9)
    }

    /// Fewer columns can never hold α, and more α never means fewer columns.
    @Test(arguments: [1, 2, 3, 4]) func selectionIsMinimalAndMonotone(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let mass = (0..<200).map { _ in Float(random.uniform() * random.uniform() * random.uniform()) }
        let rows = Int(mass.reduce(0, +).rounded(.up)) + 5
        let outside = mass.reduce(0.0) { $0 + Double($1) }
        let window = 1 - outside / Double(rows)
        var previous: Set<Int32> = []
        for alpha in [0.3, 0.6, 0.8, 0.9, 0.99] {
            let selection = StripeSelection.fewest(columnMass: mass, rows: rows, parameters: try Self.parameters(alpha))
            #expect(previous.isSubset(of: selection.columns), "seed \(seed)")
            previous = Set(selection.columns)
            guard !selection.columns.isEmpty else { continue }
            #expect(selection.sampledMass >= alpha - 1e-9, "seed \(seed)")
            let heaviest = mass.sorted(by: >).prefix(selection.columns.count - 1).reduce(0.0) { $0 + Double($1) }
            #expect(window + heaviest / Double(rows) < alpha, "seed \(seed)")
        }
    }
}
