import AttentionCore
import SampleStatistics

/// What a mask did to a whole head, row by row: the evidence that bounds are checked against.
public struct MaskMeasurement: Sendable {
    /// Names the head and mask in reports, such as `layer 3 head 5 window 512`.
    public let label: String
    public let rows: [RowErrors]
    /// A kernel's rows under the same mask, in the order of `rows`; empty when none was judged.
    public let kernelRows: [KernelRowErrors]
    public let values: ValueExtent
    public let valueDimension: Int

    /// Measures `mask` on `head`, and with it what a kernel computed. O(queryCount · keyCount · (d + dv)), one thread.
    public init(
        _ head: AttentionHead, keeping mask: some AttentionMask, values: ValueExtent, label: String, kernel: KernelOutput? = nil
    ) {
        let allowance = kernel.map { KernelAllowance($0.rounding, head: head, values: values) }
        var rows: [RowErrors] = []
        var kernelRows: [KernelRowErrors] = []
        rows.reserveCapacity(head.queryCount)
        ExactAttention(head, kernelAllowance: allowance).forEachRow(keeping: mask) { row in
            rows.append(row.errors)
            if let kernel { kernelRows.append(kernel.errors(row)) }
        }
        self.init(label: label, rows: rows, kernelRows: kernelRows, values: values, valueDimension: head.valueDimension)
    }

    /// A measurement made elsewhere. `rows` must not be empty, `kernelRows` may be.
    public init(
        label: String, rows: [RowErrors], kernelRows: [KernelRowErrors] = [], values: ValueExtent, valueDimension: Int
    ) {
        precondition(!rows.isEmpty, "a measurement has at least one row")
        precondition(kernelRows.isEmpty || kernelRows.count == rows.count, "a kernel computes every row")
        self.label = label
        self.rows = rows
        self.kernelRows = kernelRows
        self.values = values
        self.valueDimension = valueDimension
    }

    /// CRA, the smallest retained mass of any row.
    public var cumulativeResidualAttention: Double { rows.map(\.retainedMass).least()! }
    /// 1 − CRA, with the relative precision of the dropped mass.
    public var largestDroppedMass: Double { rows.map(\.droppedMass).largest()! }
    /// The mean of the rows' retained mass; it hides rare rows that lose much, so read it beside the CRA.
    public var meanRetainedMass: Double { rows.reduce(0) { $0 + $1.retainedMass } / Double(rows.count) }
    /// The mean over rows of ‖o‖₁, the size that errors may be compared with.
    public var meanOutputNorm: Double { rows.reduce(0) { $0 + $1.outputNorm } / Double(rows.count) }
    /// Kept over causal (query, key) pairs.
    public var density: Double {
        Double(rows.reduce(0) { $0 + $1.keptKeys }) / Double(rows.reduce(0) { $0 + $1.causalKeys })
    }

    /// The `fraction` quantile of the rows' retained mass, such as 0.01 and 0.05. O(rows log rows).
    public func retainedMassQuantile(_ fraction: Double) -> Double {
        Quantiles(rows.map(\.retainedMass)).at(fraction)
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
