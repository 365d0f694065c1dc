import AttentionCore
import SampleAttention
import Testing

/// The order of parameters: total, by fields, and agreeing with equality.
@Suite struct ParameterOrderTests {
    /// Parameters that each differ from the standard ones in one field.
    private static let variants: [SampleAttentionParameters] = {
        let changes: [(inout SampleAttentionParameters) -> Void] = [
            { _ in }, { $0.pattern = .columnSlash }, { $0.pattern = .dense }, { $0.alpha = try! Fraction(0.9499999999999999) },
            { $0.alphaSlashes = try! Fraction(1e-9) }, { $0.columnCount = 0 }, { $0.columnCount = 7 }, { $0.window = .tokens(1) },
            { $0.window = .tokens(2) }, { $0.window = .ratio(.one) }, { $0.sampleRatio = .one }, { $0.sampling = .random },
            { $0.samplingSeed = .max }, { $0.samplingSeed = .max - 1 }, { $0.sinks = 4 }, { $0.denseLastRows = 0 },
            { $0.columnScoring = .allMass }, { $0.keyBlockCount = 3 }, { $0.keyBlockTokens = 64 },
            { $0.scoredDimensions = try! Fraction(0.5) },
        ]
        return changes.map { change in
            var parameters = SampleAttentionParameters.standard
            change(&parameters)
            return parameters
        }
    }()

    @Test func ordersByEveryField() {
        for (i, left) in Self.variants.enumerated() {
            for (j, right) in Self.variants.enumerated() {
                #expect([left < right, left == right, right < left].count { $0 } == 1, "\(i), \(j)")
                #expect((left == right) == (i == j))
            }
        }
    }

    @Test func isTransitive() {
        let sorted = Self.variants.sorted()
        for i in sorted.indices { for j in sorted.indices { #expect((sorted[i] < sorted[j]) == (i < j), "\(i), \(j)") } }
        #expect(Self.variants.reversed().sorted() == sorted)
    }
}
