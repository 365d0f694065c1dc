import LinearAlgebra

/// What a mask did to a whole head, row by row: the evidence that bounds are checked against.
public struct MaskMeasurement: Sendable {
    /// Names the head and mask in reports, such as `layer 3 head 5 window 512`.
    public let label: String
    public let rows: [RowErrors]
    public let values: ValueExtent
    public let valueDimension: Int

    /// Measures `mask` on `head`. O(queryCount · keyCount · (d + dv)), one thread.
    public init(_ head: AttentionHead, keeping mask: some AttentionMask, values: ValueExtent, label: String) {
        self.init(
            label: label, rows: ExactAttention(head).rowErrors(keeping: mask), values: values,
            valueDimension: head.valueDimension)
    }

    /// A measurement made elsewhere. `rows` must not be empty.
    public init(label: String, rows: [RowErrors], values: ValueExtent, valueDimension: Int) {
        precondition(!rows.isEmpty, "a measurement has at least one row")
        self.label = label
        self.rows = rows
        self.values = values
        self.valueDimension = valueDimension
    }

    /// CRA, the smallest retained mass of any row.
    public var cumulativeResidualAttention: Double { rows.map(\.retainedMass).min()! }
    /// 1 − CRA, with the relative precision of the dropped mass.
    public var largestDroppedMass: Double { rows.map(\.droppedMass).max()! }
    /// The mean of the rows' retained mass; it hides rare rows that lose much, so read it beside the CRA.
    public var meanRetainedMass: Double { rows.reduce(0) { $0 + $1.retainedMass } / Double(rows.count) }
    /// Kept over causal (query, key) pairs.
    public var density: Double {
        Double(rows.reduce(0) { $0 + $1.keptKeys }) / Double(rows.reduce(0) { $0 + $1.causalKeys })
    }

    /// The `fraction` quantile of the rows' retained mass, such as 0.01 and 0.05. O(rows log rows).
    public func retainedMassQuantile(_ fraction: Double) -> Double {
        Quantiles.ofSorted(rows.map(\.retainedMass).sorted(), fraction)
    }

    /// The row with the largest error of the given output. NaN counts as the largest.
    public func worstRow(for output: OutputForm) -> RowErrors {
        var worst = rows[0]
        for row in rows.dropFirst() where !(row.error(of: output) <= worst.error(of: output)) {
            if worst.error(of: output).isNaN { break }
            worst = row
        }
        return worst
    }

    /// `RoundingAllowance.l1` for a row that sees `keys` keys.
    public func allowance(keys: Int) -> Double {
        RoundingAllowance.l1(keys: keys, dimension: valueDimension, radius: values.radius)
    }
}
