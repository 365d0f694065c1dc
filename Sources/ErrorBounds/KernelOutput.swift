/// What a kernel computed for one head under one mask, to be held against the exact output.
///
/// Shapes: rows [queryCount][width], of which the first valueDimension columns are read.
public struct KernelOutput: Sendable {
    public let rounding: KernelRounding
    private let rows: [Float]
    private let width: Int

    public init(rows: [Float], width: Int, rounding: KernelRounding) {
        precondition(width >= 1 && rows.count % width == 0, "rows are whole")
        self.rows = rows
        self.width = width
        self.rounding = rounding
    }

    /// The kernel's errors in a row, beside the exact outputs. O(valueDimension).
    public func errors(_ exact: AttentionRow) -> KernelRowErrors {
        precondition(exact.dense.count <= width && exact.errors.row < rows.count / width, "a kernel's output has every row and column")
        let first = exact.errors.row * width
        func distance(_ from: [Double]) -> Double {
            from.indices.reduce(0) { $0 + abs(Double(rows[first + $1]) - from[$1]) }
        }
        return KernelRowErrors(
            row: exact.errors.row, error: distance(exact.dense), deviation: distance(exact.renormalised), allowance: exact.kernelAllowance)
    }
}

/// A kernel's output ô' of one row, measured. Errors are L1 norms.
public struct KernelRowErrors: Hashable, Sendable {
    /// The query's index, 0 ..< queryCount.
    public var row: Int
    /// ‖o − ô'‖₁: dropping keys and rounding together.
    public var error: Double
    /// ‖ô − ô'‖₁: rounding alone.
    public var deviation: Double
    /// What `KernelAllowance` permits the deviation to be.
    public var allowance: Double

    public init(row: Int, error: Double, deviation: Double, allowance: Double) {
        self.row = row
        self.error = error
        self.deviation = deviation
        self.allowance = allowance
    }
}
