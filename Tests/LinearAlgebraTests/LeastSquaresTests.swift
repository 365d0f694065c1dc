import AttentionCore
import LinearAlgebra
import Testing

extension SeededGenerator {
    /// A [column][row] matrix and a target of normal numbers.
    fileprivate mutating func problem(rows: Int, columns: Int) -> LeastSquaresProblem {
        let matrix = (0..<columns).map { _ in (0..<rows).map { _ in normal() } }
        return LeastSquaresProblem(columns: matrix, target: (0..<rows).map { _ in normal() })
    }

    /// A target that a known x explains but for some noise.
    fileprivate mutating func problem(rows: Int, solution: [Double], noise: Double) -> LeastSquaresProblem {
        let matrix = (0..<solution.count).map { _ in (0..<rows).map { _ in uniform() } }
        let target = (0..<rows).map { row in noise * normal() + zip(matrix, solution).reduce(0) { $0 + $1.0[row] * $1.1 } }
        return LeastSquaresProblem(columns: matrix, target: target)
    }
}

private func norm(_ vector: [Double]) -> Double { vector.reduce(0) { $0 + $1 * $1 }.squareRoot() }

@Suite struct LeastSquaresTests {
    /// The residual is at right angles to every column, and only the minimum has that.
    @Test(arguments: 1...20) func residualsAreOrthogonal(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        let problem = random.problem(rows: 5 + 3 * seed, columns: 1 + seed % 6)
        let slope = problem.gradient(residual: problem.residual(LeastSquares.solve(problem)))
        #expect(slope.allSatisfy { abs($0) < 1e-11 }, "seed \(seed): \(slope)")
    }

    @Test func findsAnExactSolution() {
        var random = SeededGenerator(seed: 1)
        let truth = [3, -2, 0.5, 0]
        let found = LeastSquares.solve(random.problem(rows: 12, solution: truth, noise: 0))
        #expect(zip(found, truth).allSatisfy { abs($0 - $1) < 1e-12 }, "\(found)")
    }

    /// Units of pairs and of heads differ by ten powers of ten: without scaling, the small column would count as nothing.
    @Test func unitsDoNotMatter() {
        var random = SeededGenerator(seed: 2)
        let truth = [2e-20, 5e15]
        let plain = random.problem(rows: 30, solution: [1, 1], noise: 0)
        let columns = [plain.columns[0].map { $0 * 1e18 }, plain.columns[1].map { $0 * 1e-17 }]
        let target = (0..<30).map { columns[0][$0] * truth[0] + columns[1][$0] * truth[1] }
        let found = LeastSquares.solve(LeastSquaresProblem(columns: columns, target: target))
        #expect(zip(found, truth).allSatisfy { abs($0 / $1 - 1) < 1e-12 }, "\(found)")
    }

    /// Equal columns share the weight, and fewer equations than unknowns have a shortest solution.
    @Test func dependentColumnsHaveTheShortestSolution() {
        let column = [1.0, 2, 3]
        let shared = LeastSquares.solve(LeastSquaresProblem(columns: [column, column], target: [2, 4, 6]))
        #expect(shared.allSatisfy { abs($0 - 1) < 1e-12 }, "\(shared)")
        let wide = LeastSquares.solve(LeastSquaresProblem(columns: [[1], [1], [0]], target: [4]))
        #expect(zip(wide, [2, 2, 0]).allSatisfy { abs($0 - $1) < 1e-12 }, "\(wide)")
    }

    @Test func nothingIsASolution() {
        #expect(LeastSquares.solve(LeastSquaresProblem(columns: [], target: [1])).isEmpty)
        #expect(LeastSquares.solve(LeastSquaresProblem(columns: [[]], target: [])) == [0])
        #expect(LeastSquares.solve(LeastSquaresProblem(columns: [[0, 0]], target: [1, 2])) == [0])
    }

    @Test func whatIsNotFiniteTraps() async {
        await #expect(processExitsWith: .failure) { _ = LeastSquaresProblem(columns: [[.nan]], target: [1]) }
        await #expect(processExitsWith: .failure) { _ = LeastSquaresProblem(columns: [[1, 2]], target: [1]) }
    }
}

@Suite struct NonNegativeLeastSquaresTests {
    /// x ≥ 0, no slope where x is free, none upwards where it is bound.
    private func expectMinimum(_ problem: LeastSquaresProblem, _ x: [Double], _ label: String) {
        let slope = problem.gradient(residual: problem.residual(x))
        let scale = max(norm(problem.target), 1e-300)
        for (index, column) in problem.columns.enumerated() {
            let limit = 1e-12 * scale * max(norm(column), 1e-300) * Double(problem.target.count)
            #expect(x[index] >= 0, "\(label): x[\(index)] = \(x[index])")
            #expect(x[index] > 0 ? abs(slope[index]) <= limit : slope[index] <= limit, "\(label): slope[\(index)] = \(slope[index])")
        }
    }

    @Test(arguments: 1...60) func randomProblemsMeetTheKuhnTuckerConditions(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        let problem = random.problem(rows: 4 + seed, columns: 1 + seed % 17)
        expectMinimum(problem, NonNegativeLeastSquares.solve(problem), "seed \(seed)")
    }

    /// Half of these would have negative unknowns without the constraint, so it binds.
    @Test func theConstraintBinds() {
        var bound = 0
        for seed in 1...20 {
            var random = SeededGenerator(seed: UInt64(seed))
            let problem = random.problem(rows: 40, columns: 6)
            bound += NonNegativeLeastSquares.solve(problem).count { $0 == 0 }
        }
        #expect((40...80).contains(bound), "of 120: \(bound)")
    }

    @Test func findsKnownSolutions() {
        var random = SeededGenerator(seed: 7)
        let truth = [0.7, 0, 3, 0, 11, 0.01]
        let exact = NonNegativeLeastSquares.solve(random.problem(rows: 30, solution: truth, noise: 0))
        #expect(zip(exact, truth).allSatisfy { abs($0 - $1) < 1e-11 }, "\(exact)")
        // min (1 − x₀ − x₁)² + (2 − x₁)² over x ≥ 0: the free minimum is (−1, 2); on the border x₀ = 0 it is x₁ = 1.5.
        let border = NonNegativeLeastSquares.solve(LeastSquaresProblem(columns: [[1, 0], [1, 1]], target: [1, 2]))
        #expect(border[0] == 0 && abs(border[1] - 1.5) < 1e-15, "\(border)")
        #expect(NonNegativeLeastSquares.solve(LeastSquaresProblem(columns: [[1, 1]], target: [-1, -3])) == [0])
    }

    /// The unconstrained solution is the answer when it happens not to be negative.
    @Test func agreesWithLeastSquaresInside() {
        var random = SeededGenerator(seed: 8)
        let problem = random.problem(rows: 60, solution: [1, 2, 3, 4], noise: 0.1)
        let free = LeastSquares.solve(problem)
        #expect(free.allSatisfy { $0 > 0 })
        let bound = NonNegativeLeastSquares.solve(problem)
        #expect(zip(free, bound).allSatisfy { abs($0 - $1) < 1e-12 }, "\(free), \(bound)")
    }

    @Test(arguments: 1...20) func dependentColumnsMeetTheConditionsToo(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        let base = random.problem(rows: 20, columns: 4)
        let sum = (0..<20).map { base.columns[0][$0] + base.columns[1][$0] }
        let columns = base.columns + [base.columns[0], sum, Array(repeating: 0, count: 20), base.columns[3].map { -$0 }]
        let problem = LeastSquaresProblem(columns: columns, target: base.target)
        expectMinimum(problem, NonNegativeLeastSquares.solve(problem), "seed \(seed)")
    }

    /// Terms of a cost that hardly differ, and in units far apart.
    @Test(arguments: 1...10) func nearlyDependentColumnsEnd(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        let base = random.problem(rows: 50, solution: [1, 1, 1], noise: 0.05)
        let near = base.columns[0].map { $0 * (1 + 1e-13 * random.normal()) }
        let problem = LeastSquaresProblem(columns: base.columns + [near, base.columns[2].map { $0 * 1e9 }], target: base.target)
        expectMinimum(problem, NonNegativeLeastSquares.solve(problem), "seed \(seed)")
    }

    @Test func moreUnknownsThanEquations() {
        var random = SeededGenerator(seed: 9)
        let problem = random.problem(rows: 3, columns: 12)
        expectMinimum(problem, NonNegativeLeastSquares.solve(problem), "wide")
        #expect(NonNegativeLeastSquares.solve(LeastSquaresProblem(columns: [], target: [1])).isEmpty)
    }
}
