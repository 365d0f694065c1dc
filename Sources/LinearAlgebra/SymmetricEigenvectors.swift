import CLAPACKE

/// The eigenvectors of a symmetric matrix, by ascending eigenvalue.
///
/// Source: LAPACK's `dsyevd` (divide and conquer) through LAPACKE.
package struct SymmetricEigenvectors: Sendable {
    package let order: Int
    /// Ascending.
    package let values: [Double]
    /// LAPACK's columns: [vector][component].
    private let vectors: [Double]

    /// - Parameter matrix: [order][order] row-major and finite, of which only the lower triangle is read.
    /// - Precondition: LAPACK converges, which it does for finite matrices.
    package init(_ matrix: [Double], order: Int) {
        precondition(order >= 0 && matrix.count == order * order, "a square matrix of the stated order")
        var vectors = matrix
        var values = [Double](repeating: 0, count: order)
        _ = OpenBLASThreads.areOff
        // LAPACK counts by columns: the row-major lower triangle is its upper one.
        let status =
            order == 0
            ? 0
            : LAPACKE_dsyevd(
                LAPACK_COL_MAJOR, CChar(UInt8(ascii: "V")), CChar(UInt8(ascii: "U")), Int32(order), &vectors, Int32(order),
                &values)
        precondition(status == 0, "dsyevd: \(status)")
        self.order = order
        self.values = values
        self.vectors = vectors
    }

    /// A vector of length 1.
    package func vector(_ index: Int) -> [Double] { Array(vectors[index * order..<(index + 1) * order]) }
}
