import AttentionCore
import LinearAlgebra
import Testing

@Suite struct CholeskyTests {
    /// B · Bᵀ + I of a random B, row-major.
    static func matrix(_ order: Int, seed: UInt64 = 1) -> [Double] {
        var random = SeededGenerator(seed: seed)
        let b = (0..<order * order).map { _ in random.normal() }
        var a = [Double](repeating: 0, count: order * order)
        for i in 0..<order {
            for j in 0..<order { a[i * order + j] = (0..<order).reduce(i == j ? 1 : 0) { $0 + b[i * order + $1] * b[j * order + $1] } }
        }
        return a
    }

    /// L Lᵀ = A, from the lower triangle alone.
    @Test(arguments: [0, 1, 2, 7, 64, 65]) func theFactorMultipliesBack(order: Int) throws {
        let a = Self.matrix(order)
        var lower = a
        for i in 0..<order { for j in i + 1..<max(i + 1, order) { lower[i * order + j] = .nan } }
        let factor = try #require(Cholesky(lower, order: order))
        #expect(factor.order == order && factor.jitter == 0)
        for i in 0..<order {
            for j in 0...i {
                let product = (0..<order).reduce(0.0) { $0 + factor[i, $1] * factor[j, $1] }
                #expect(abs(product - a[i * order + j]) < 1e-12 * Double(order * order))
            }
        }
    }

    @Test(arguments: [1, 5, 33]) func solutionsSolve(order: Int) throws {
        let a = Self.matrix(order)
        let factor = try #require(Cholesky(a, order: order))
        let b = (0..<order).map { Double($0) - 2 }
        let x = factor.solve(b)
        for i in 0..<order {
            #expect(abs((0..<order).reduce(-b[i]) { $0 + a[i * order + $1] * x[$1] }) < 1e-9)
        }
        // Of three right sides at once, and of one alone, which is another BLAS call.
        var rows = b + b.reversed() + x
        factor.solveLower(&rows, rows: 3)
        for (index, right) in [b, b.reversed(), x].enumerated() {
            var alone = right
            factor.solveLower(&alone, rows: 1)
            for i in 0..<order {
                let product = (0...i).reduce(0.0) { $0 + factor[i, $1] * rows[index * order + $1] }
                #expect(abs(product - right[i]) < 1e-9 && abs(alone[i] - rows[index * order + i]) < 1e-12)
            }
        }
    }

    /// |A| of [[4, 2], [2, 5]] is 16.
    @Test func theDeterminantIsThatOfTheMatrix() throws {
        let factor = try #require(Cholesky([4, 2, 2, 5], order: 2))
        #expect(abs(factor.logDeterminant - 2.772588722239781) < 1e-14)
        #expect(Cholesky().logDeterminant == 0)
    }

    /// Rows appended one by one, over every growth of the room, give the factor of the whole; also after some were forgotten.
    @Test func appendingIsFactoring() throws {
        let order = 40
        let a = Self.matrix(order)
        let whole = try #require(Cholesky(a, order: order))
        func grow(_ factor: inout Cholesky) {
            for row in factor.order..<order {
                factor.append(row: Array(a[row * order..<row * order + row]), diagonal: a[row * order + row])
            }
        }
        var grown = Cholesky()
        grow(&grown)
        grown.truncate(to: 13)
        grow(&grown)
        for i in 0..<order { for j in 0..<order { #expect(abs(grown[i, j] - whole[i, j]) < 1e-10) } }
        let b = (0..<order).map(Double.init)
        for (one, other) in zip(grown.solve(b), whole.solve(b)) { #expect(abs(one - other) < 1e-9) }
    }

    /// A matrix of ones is singular: a little is added to its diagonal, and said. An indefinite one has no factor.
    @Test func whatIsHardlyDefiniteGetsJitter() throws {
        let ones = try #require(Cholesky([Double](repeating: 1, count: 25), order: 5))
        #expect(ones.jitter > 0 && ones.jitter <= 1e-8)
        #expect(Cholesky([1, 2, 2, 1], order: 2) == nil)
        #expect(Cholesky([1, .nan, .nan, 1], order: 2) == nil)
        #expect(Cholesky([.infinity], order: 1) == nil)
    }

    /// The same point twice: its row depends on the first, and the pivot is the least one.
    @Test func dependentRowsKeepAPivot() {
        var factor = Cholesky()
        factor.append(row: [], diagonal: 1)
        factor.append(row: [1], diagonal: 1, leastPivot: 1e-6)
        #expect(abs(factor[1, 1] - 1e-3) < 1e-15)
        #expect(factor.solve([1, 1]).allSatisfy { $0.isFinite })
    }
}
