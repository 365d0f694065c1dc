import AttentionCore

/// The columns of one head's pattern beside the mass of all columns.
public struct SelectedColumns: Sendable, Hashable {
    /// Key positions, ascending.
    public let positions: [Int32]
    /// Mean over queries of the mass in the pattern's window.
    let windowMass: Double
    /// [key]: mean over queries of the mass that the window does not hold.
    let outsideMass: [Double]

    /// The mean retained mass with other columns in place of these.
    func meanMass(with other: [Int32]) -> Double { other.reduce(windowMass) { $0 + outsideMass[Int($1)] }.clampedShare }
}

/// What one head would lose by using the columns that another selected: is sharing a selection worth it?
public struct ColumnOverlap: Sendable, Hashable, Codable {
    /// |A ∩ B| / |A ∪ B|.
    public let jaccard: Double
    /// The Jaccard index that sets of these sizes, drawn at random from all keys, would have: s / (a + b − s) with s = ab/keys.
    public let chance: Double
    /// The head's mean retained mass with its own columns, and with the other's; window included, last rows as any other.
    public let ownMass, sharedMass: Double
    /// Pairs of heads this is the mean of.
    public let pairs: Int

    /// Nil when either head has no columns: there is nothing to share.
    ///
    /// - Parameter other: ascending key positions of a head that saw as many keys.
    public init?(_ own: SelectedColumns, borrowing other: [Int32]) {
        guard !own.positions.isEmpty, !other.isEmpty else { return nil }
        let shared = Double(Set(own.positions).intersection(other).count)
        let (a, b) = (Double(own.positions.count), Double(other.count))
        let expected = a * b / Double(own.outsideMass.count)
        jaccard = shared / (a + b - shared)
        chance = expected / (a + b - expected)
        ownMass = own.meanMass(with: own.positions)
        sharedMass = own.meanMass(with: other)
        pairs = 1
    }

    /// Nil when there is none.
    public init?(meanOf overlaps: [ColumnOverlap]) {
        guard !overlaps.isEmpty else { return nil }
        let pairs = overlaps.reduce(0) { $0 + $1.pairs }
        func mean(_ value: (ColumnOverlap) -> Double) -> Double {
            overlaps.reduce(0) { $0 + Double($1.pairs) * value($1) } / Double(pairs)
        }
        jaccard = mean(\.jaccard)
        chance = mean(\.chance)
        ownMass = mean(\.ownMass)
        sharedMass = mean(\.sharedMass)
        self.pairs = pairs
    }
}
