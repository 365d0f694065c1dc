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
        MatrixProduct.configureForWorkerPools()
        #expect(try MatrixProduct.libraryThatMultiplies().contains("openblas"))
    }

    @Test(arguments: QuasiRandomSequence.Family.allCases) func quasiRandomPointsAreSeededAndEven(_ family: QuasiRandomSequence.Family) {
        let first = QuasiRandomSequence(family, dimensions: 3, seed: 1)
        let again = QuasiRandomSequence(family, dimensions: 3, seed: 1)
        let other = QuasiRandomSequence(family, dimensions: 3, seed: 2)
        let points = (0..<256).map { _ in first.next() }
        #expect(points == (0..<256).map { _ in again.next() })
        #expect(points != (0..<256).map { _ in other.next() })
        for axis in 0..<3 {
            // Of 256 points every eighth of an axis holds 32, give or take the wrap of the shift.
            var counts = [Int](repeating: 0, count: 8)
            for point in points { counts[Int(point[axis] * 8)] += 1 }
            #expect(counts.allSatisfy { abs($0 - 32) <= 2 }, "\(counts)")
        }
    }

    @Test func quantilesInterpolate() {
        #expect(Quantiles.ofSorted([1, 2, 3, 4], 0.5) == 2.5)
        #expect(Quantiles.median([3, 1, 2]) == 2)
        #expect(Quantiles.ofSorted([], 0.5).isNaN)
    }
}
