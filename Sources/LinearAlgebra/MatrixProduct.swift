import AttentionCore
import COpenBLAS

/// OpenBLAS matrix products on the calling thread: parallelism belongs to the caller's worker pool. The first of them turns OpenBLAS's own
/// threads off, for the process.
package enum MatrixProduct {
    /// The build OpenBLAS reports, for outputs that name the machine.
    package static var libraryDescription: String { String(cString: openblas_get_config()) }

    /// C = A · op(B) + scaleC · C, row-major, where op(B) is B ([inner][columns]) or, with `transposedB`, B is
    /// [columns][inner].
    ///
    /// Shapes: a [rows][inner], c [rows][columns]; strides count floats between rows.
    package static func multiply(
        rows: Int, columns: Int, inner: Int, a: UnsafePointer<Float>, aStride: Int, b: UnsafePointer<Float>, bStride: Int,
        transposedB: Bool, into c: UnsafeMutablePointer<Float>, cStride: Int, scaleC: Float = 0
    ) {
        _ = OpenBLASThreads.areOff
        cblas_sgemm(
            CblasRowMajor, CblasNoTrans, transposedB ? CblasTrans : CblasNoTrans, blasint(rows), blasint(columns),
            blasint(inner), 1, a, blasint(aStride), b, blasint(bStride), scaleC, c, blasint(cStride))
    }

    /// The same in double precision, with a factor on the product.
    package static func multiply(
        rows: Int, columns: Int, inner: Int, scale: Double = 1, a: UnsafePointer<Double>, aStride: Int,
        b: UnsafePointer<Double>, bStride: Int, transposedB: Bool, into c: UnsafeMutablePointer<Double>, cStride: Int,
        scaleC: Double = 0
    ) {
        _ = OpenBLASThreads.areOff
        cblas_dgemm(
            CblasRowMajor, CblasNoTrans, transposedB ? CblasTrans : CblasNoTrans, blasint(rows), blasint(columns),
            blasint(inner), scale, a, blasint(aStride), b, blasint(bStride), scaleC, c, blasint(cStride))
    }
}

extension MatrixProduct {
    /// The file of the loaded library that `cblas_sgemm` resolves to: OpenBLAS, unless another BLAS got in its way.
    /// - Throws: `InputError` (`systemFailure`) when the dynamic loader cannot tell.
    package static func libraryThatMultiplies() throws(InputError) -> String {
        guard let path = cblas_sgemm_library() else {
            throw InputError(.systemFailure, field: "cblas_sgemm", rule: "the dynamic loader must know its library")
        }
        return String(cString: path)
    }
}
