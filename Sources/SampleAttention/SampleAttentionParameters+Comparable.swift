import AttentionCore

/// An order of parameters by their fields, for lists that must not depend on when their entries were made. It says nothing about
/// which parameters are better.
extension SampleAttentionParameters: Comparable {
    public static func < (left: Self, right: Self) -> Bool {
        left.orderedFields.lexicographicallyPrecedes(right.orderedFields)
    }

    /// Every field as a number that orders as the field does; an absent one comes first.
    private var orderedFields: [UInt64] {
        let windowFields: [UInt64] =
            switch window {
            case .ratio(let ratio): [0, Self.order(ratio)]
            case .tokens(let count): [1, UInt64(count)]
            }
        return [
            Self.order(pattern), Self.order(alpha), alphaSlashes.map(Self.order) ?? 0, columnCount.map { UInt64($0) + 1 } ?? 0,
        ] + windowFields + [
            Self.order(sampleRatio), Self.order(sampling), samplingSeed, UInt64(sinks), UInt64(denseLastRows), Self.order(columnScoring),
            UInt64(keyBlockCount), UInt64(keyBlockTokens), Self.order(scoredDimensions),
        ]
    }

    /// Positive numbers order as their bit patterns do.
    private static func order(_ fraction: Fraction) -> UInt64 { fraction.value.bitPattern }

    private static func order<Choice: CaseIterable & Equatable>(_ choice: Choice) -> UInt64 {
        UInt64(Array(Choice.allCases).firstIndex(of: choice)!)
    }
}
