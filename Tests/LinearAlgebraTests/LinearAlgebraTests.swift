import AttentionCore
import LinearAlgebra
import Testing

@Suite struct LinearAlgebraTests {
    @Test func productMatchesDefinition() {
        var random = SeededGenerator(seed: 3)
        let (rows, columns, inner) = (5, 7, 9)
        let a = (0..<rows * inner).map { _ in Float(random.normal()) }
        let b = (0..<columns * inner).map { _ in Float(random.normal()) }
        var c = [Float](repeating: 1, count: rows * columns)
        MatrixProduct.multiply(
            rows: rows, columns: columns, inner: inner, a: a, aStride: inner, b: b, bStride: inner, transposedB: true, into: &c,
            cStride: columns, scaleC: 2)
        for i in 0..<rows {
            for j in 0..<columns {
                let expected = 2 + (0..<inner).reduce(0.0) { $0 + Double(a[i * inner + $1]) * Double(b[j * inner + $1]) }
                #expect(abs(Double(c[i * columns + j]) - expected) < 1e-4)
            }
        }
    }

    /// gslcblas also defines cblas_sgemm and is some 20 times slower: the products must be OpenBLAS's.
    @Test func productsAreOpenBLAS() throws {
        #expect(MatrixProduct.libraryDescription.contains("OpenBLAS"))
        #expect(try MatrixProduct.libraryThatMultiplies().contains("openblas"))
    }
}
