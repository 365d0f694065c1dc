import CLAPACKE

/// An overdetermined system A x ≈ b, dense.
///
/// Shapes: `columns` [column][row], each as long as `target`.
package struct LeastSquaresProblem: Hashable, Sendable {
    /// A, column by column.
    package let columns: [[Double]]
    /// b.
    package let target: [Double]

    /// - Parameters:
    ///   - columns: A, [column][row]; finite.
    ///   - target: b, [row]; finite.
    package init(columns: [[Double]], target: [Double]) {
        precondition(columns.allSatisfy { $0.count == target.count }, "a column has one entry a row")
        precondition((columns + [target]).allSatisfy { $0.allSatisfy(\.isFinite) }, "a system of equations is finite")
        self.columns = columns
        self.target = target
    }

    /// b − A x.
    package func residual(_ x: [Double]) -> [Double] {
        precondition(x.count == columns.count, "there is one unknown a column")
        var residual = target
        for (column, factor) in zip(columns, x) where factor != 0 {
            for row in residual.indices { residual[row] -= factor * column[row] }
        }
        return residual
    }

    /// Aᵀ r, half of the negative gradient of ‖b − A x‖² where r = b − A x.
    package func gradient(residual: [Double]) -> [Double] {
        columns.map { zip($0, residual).reduce(0) { $0 + $1.0 * $1.1 } }
    }

    /// The same with columns of length 1, and the lengths they had; a column of zeros stays.
    func scaled() -> (problem: LeastSquaresProblem, lengths: [Double]) {
        let lengths = columns.map { column in
            let length = Self.length(column)
            return length > 0 ? length : 1
        }
        return (
            LeastSquaresProblem(columns: zip(columns, lengths).map { column, length in column.map { $0 / length } }, target: target),
            lengths
        )
    }

    /// Only some of the columns.
    func keeping(_ kept: [Int]) -> LeastSquaresProblem { LeastSquaresProblem(columns: kept.map { columns[$0] }, target: target) }

    static func length(_ vector: [Double]) -> Double {
        // Scaled by the largest entry, so that squares neither vanish nor overflow.
        let largest = vector.reduce(0) { max($0, abs($1)) }
        if largest == 0 { return 0 }
        return largest * vector.reduce(0) { $0 + ($1 / largest) * ($1 / largest) }.squareRoot()
    }
}

/// Least squares by LAPACK.
package enum LeastSquares {
    /// The x that minimises ‖A x − b‖₂; where several do, the shortest in units of the columns' lengths.
    ///
    /// Columns are scaled to length 1 first, so that units do not decide what counts as dependent.
    /// Complexity: O(rows · columns²).
    /// Source: complete orthogonal factorisation, LAPACK's `dgelsy` (Anderson et al., LAPACK Users' Guide, 1999, 2.3.2).
    package static func solve(_ problem: LeastSquaresProblem) -> [Double] {
        let (scaled, lengths) = problem.scaled()
        return zip(solveScaled(scaled), lengths).map { $0 / $1 }
    }

    /// The same for columns that are of length 1 already.
    static func solveScaled(_ problem: LeastSquaresProblem) -> [Double] {
        let (rows, columns) = (problem.target.count, problem.columns.count)
        if rows == 0 || columns == 0 { return Array(repeating: 0, count: columns) }
        var matrix = Array(problem.columns.joined())
        // LAPACK leaves x where b was, which must have room for it.
        var solution = problem.target + Array(repeating: 0, count: max(0, columns - rows))
        var pivots = [Int32](repeating: 0, count: columns)
        var rank: Int32 = 0
        let tolerance = Double(max(rows, columns)) * Double.ulpOfOne
        _ = OpenBLASThreads.areOff
        let status = LAPACKE_dgelsy(
            LAPACK_COL_MAJOR, Int32(rows), Int32(columns), 1, &matrix, Int32(rows), &solution, Int32(solution.count),
            &pivots, tolerance, &rank)
        precondition(status == 0, "dgelsy: \(status)")
        return Array(solution.prefix(columns))
    }
}
