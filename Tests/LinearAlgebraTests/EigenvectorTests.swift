import AttentionCore
import LinearAlgebra
import Testing

@Suite struct EigenvectorTests {
    @Test(arguments: [1, 2, 7, 64]) func vectorsSatisfyTheirEquation(order: Int) {
        var random = SeededGenerator(seed: UInt64(order))
        var matrix = [Double](repeating: 0, count: order * order)
        for row in 0..<order {
            for column in 0...row {
                matrix[row * order + column] = random.normal()
                matrix[column * order + row] = matrix[row * order + column]
            }
        }
        var lower = matrix
        // What lies above the diagonal is not read.
        for row in 0..<order { for column in row + 1..<max(row + 1, order) { lower[row * order + column] = .nan } }
        let eigen = SymmetricEigenvectors(lower, order: order)
        #expect(eigen.values == eigen.values.sorted() && eigen.order == order)
        let vectors = (0..<order).map { eigen.vector($0) }
        for (value, vector) in zip(eigen.values, vectors) {
            for row in 0..<order {
                let product = (0..<order).reduce(0.0) { $0 + matrix[row * order + $1] * vector[$1] }
                #expect(abs(product - value * vector[row]) < 1e-11 * Double(order))
            }
        }
        for (i, a) in vectors.enumerated() {
            for (j, b) in vectors.enumerated() {
                let product = zip(a, b).reduce(0.0) { $0 + $1.0 * $1.1 }
                #expect(abs(product - (i == j ? 1 : 0)) < 1e-12 * Double(order))
            }
        }
    }

    /// A diagonal matrix: its entries, and the axes.
    @Test func diagonalMatricesAreTheirOwnAnswer() {
        let eigen = SymmetricEigenvectors([3, 0, 0, 0, 1, 0, 0, 0, 2], order: 3)
        #expect(eigen.values == [1, 2, 3])
        #expect((0..<3).map { eigen.vector($0).map(abs) } == [[0, 1, 0], [0, 0, 1], [1, 0, 0]])
    }
}
