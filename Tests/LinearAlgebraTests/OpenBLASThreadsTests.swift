import LinearAlgebra
import Testing

/// The first call of any entry turns OpenBLAS's threads off; a process each, since the setting is the process's. On a machine of one core
/// there are none to turn off.
@Suite struct OpenBLASThreadsTests {
    @Test func nothingIsSetBeforeTheFirstCall() async {
        await #expect(processExitsWith: .success) {
            let before = OpenBLASThreads.count
            _ = MatrixProduct.libraryDescription
            precondition(OpenBLASThreads.count == before)
        }
    }

    @Test func products() async {
        await #expect(processExitsWith: .success) {
            var c: Float = 0
            MatrixProduct.multiply(
                rows: 1, columns: 1, inner: 1, a: [2], aStride: 1, b: [3], bStride: 1, transposedB: false, into: &c, cStride: 1)
            precondition(c == 6 && OpenBLASThreads.count == 1)
        }
        await #expect(processExitsWith: .success) {
            var c = 0.0
            MatrixProduct.multiply(
                rows: 1, columns: 1, inner: 1, a: [2], aStride: 1, b: [3], bStride: 1, transposedB: false, into: &c, cStride: 1)
            precondition(c == 6 && OpenBLASThreads.count == 1)
        }
    }

    @Test func factorisations() async {
        await #expect(processExitsWith: .success) {
            _ = LeastSquares.solve(LeastSquaresProblem(columns: [[2]], target: [4]))
            precondition(OpenBLASThreads.count == 1)
        }
        await #expect(processExitsWith: .success) {
            precondition(SymmetricEigenvectors([2], order: 1).values == [2] && OpenBLASThreads.count == 1)
        }
    }
}
