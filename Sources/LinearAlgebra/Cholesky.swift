import CLAPACKE
import COpenBLAS
import Foundation

/// The factor L of a symmetric positive definite matrix A = L · Lᵀ, which grows row by row: factoring anew costs O(n³),
/// one more row and column O(n²).
///
/// Kept row-major and lower; LAPACK, which counts by columns, reads the same memory as the upper factor Lᵀ, so that nothing is
/// ever transposed.
///
/// Source: Golub and Van Loan, Matrix Computations, 4.2; LAPACK's `dpotrf` and `dpotrs` through LAPACKE.
public struct Cholesky: Sendable {
    /// n: rows of A, and columns.
    public private(set) var order: Int
    /// What was added to the diagonal until the matrix had a factor; 0 for matrices that are well off without it.
    public let jitter: Double
    /// [order][stride], the lower triangle of the first `order` columns; what lies above it is not read.
    private var factor: [Double]
    /// Doubles between rows: room for as many columns, so that appending seldom copies.
    private var stride: Int

    /// The factor of the empty matrix, to append rows to.
    public init() {
        (order, jitter, factor, stride) = (0, 0, [], 0)
    }

    /// Factors a whole matrix; nil when it has no factor even with a jitter of 10⁻⁴ of its mean diagonal, or is not finite.
    ///
    /// Shapes: matrix [order][order] row-major, of which only the lower triangle is read.
    /// Complexity: O(order³) a try; jitter starts at 10⁻¹² of the mean diagonal and grows a hundredfold.
    public init?(_ matrix: [Double], order: Int) {
        precondition(order >= 0 && matrix.count == order * order, "a square matrix of the stated order")
        let diagonal = (0..<order).reduce(0.0) { $0 + matrix[$1 * (order + 1)] } / Double(max(1, order))
        for share in [0, 1e-12, 1e-10, 1e-8, 1e-6, 1e-4] {
            var factor = matrix
            for row in 0..<order { factor[row * (order + 1)] += share * diagonal }
            guard order == 0 || Self.factorise(&factor, order) else { continue }
            (self.order, jitter, self.factor, stride) = (order, share * diagonal, factor, order)
            return
        }
        return nil
    }

    private static func factorise(_ matrix: inout [Double], _ order: Int) -> Bool {
        _ = OpenBLASThreads.areOff
        return LAPACKE_dpotrf(LAPACK_COL_MAJOR, lapackUpper, CInt(order), &matrix, CInt(order)) == 0
            && (0..<order).allSatisfy { matrix[$0 * (order + 1)].isFinite }
    }

    /// ln |A| = 2 Σ ln L_ii. Complexity: O(order).
    public var logDeterminant: Double { 2 * (0..<order).reduce(0.0) { $0 + log(factor[$1 * stride + $1]) } }

    /// One entry of L; 0 above the diagonal.
    public subscript(row: Int, column: Int) -> Double {
        precondition((0..<order).contains(row) && (0..<order).contains(column), "an entry of the factor")
        return column > row ? 0 : factor[row * stride + column]
    }
}

extension Cholesky {
    /// Adds a last row and column to A: L gets the row l = L⁻¹ · a and the diagonal √(d − l · l).
    ///
    /// A row that depends on those before it (but for rounding) would have no root; its diagonal becomes √`leastPivot`, as if that
    /// much more had been added to A's diagonal there.
    ///
    /// - Parameters:
    ///   - row: a, A's new entries left of the diagonal.
    ///   - diagonal: d, A's new last entry.
    ///   - leastPivot: above 0.
    /// Complexity: O(order²), and copies the factor whenever it has outgrown its room by a quarter.
    public mutating func append(row: [Double], diagonal: Double, leastPivot: Double = 1e-12) {
        precondition(row.count == order && leastPivot > 0, "a row as long as the matrix, and a pivot above 0")
        reserve(order + 1)
        var solved = row
        solveLower(&solved, rows: 1)
        let pivot = diagonal - solved.reduce(0) { $0 + $1 * $1 }
        for column in 0..<order { factor[order * stride + column] = solved[column] }
        factor[order * stride + order] = max(pivot, leastPivot).squareRoot()
        order += 1
    }

    /// Forgets the last rows and columns. Complexity: O(1).
    public mutating func truncate(to order: Int) {
        precondition((0...self.order).contains(order), "a factor can only get smaller")
        self.order = order
    }

    private mutating func reserve(_ rows: Int) {
        guard rows > stride else { return }
        // A quarter more: copies cost little beside the solves, and a thousand rows should not take the memory of two thousand.
        let room = max(16, rows, stride + stride / 4)
        var larger = [Double](repeating: 0, count: room * room)
        for row in 0..<order {
            for column in 0...row { larger[row * room + column] = factor[row * stride + column] }
        }
        (factor, stride) = (larger, room)
    }
}

extension Cholesky {
    /// x with A · x = b, by two triangular solves. Complexity: O(order²).
    public func solve(_ b: [Double]) -> [Double] {
        precondition(b.count == order, "a right side as long as the matrix")
        var x = b
        guard order > 0 else { return x }
        _ = OpenBLASThreads.areOff
        let status = LAPACKE_dpotrs(
            LAPACK_COL_MAJOR, lapackUpper, CInt(order), 1, factor, CInt(stride), &x, CInt(order))
        precondition(status == 0, "LAPACK refuses only wrong arguments")
        return x
    }

    /// Replaces each row b by L⁻¹ · b, so that its square is bᵀ · A⁻¹ · b.
    ///
    /// Shapes: right [rows][order] row-major: each right side is contiguous.
    /// Complexity: O(rows · order²), as one BLAS call.
    public func solveLower(_ right: inout [Double], rows: Int) {
        precondition(right.count == rows * order, "right sides as long as the matrix")
        guard order > 0, rows > 0 else { return }
        _ = OpenBLASThreads.areOff
        if rows == 1 {
            cblas_dtrsv(
                CblasRowMajor, CblasLower, CblasNoTrans, CblasNonUnit, blasint(order), factor, blasint(stride), &right, 1)
            return
        }
        cblas_dtrsm(
            CblasRowMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit, blasint(rows), blasint(order), 1, factor,
            blasint(stride), &right, blasint(order))
    }
}

/// 'U': what is lower by rows is upper by columns.
private let lapackUpper = CChar(UInt8(ascii: "U"))
