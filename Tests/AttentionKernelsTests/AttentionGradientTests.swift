import AttentionCore
import AttentionKernels
import AttentionTestSupport
import CAttentionKernels
import Parallelism
import Testing

/// The backward pass on every instruction set against the definition in double precision, and that against finite differences.
@Suite struct AttentionGradientTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let shape: AttentionShape
        let window: Int?
        let seed: UInt64
        var testDescription: String { "\(shape) window \(window.map { "\($0)" } ?? "none") seed \(seed)" }

        init(
            _ queries: Int, _ keys: Int, d: Int, heads: (Int, Int), window: Int? = nil, cap: Double? = nil, hasSinks: Bool = false,
            seed: UInt64 = 1
        ) {
            // Sinks that take nothing, a little, and most of a row.
            let sinks: [Float]? = hasSinks ? (0..<heads.0).map { [-40, 1, 7][$0 % 3] } : nil
            shape = AttentionShape(
                queryHeads: heads.0, keyValueHeads: heads.1, queryCount: queries, keyCount: keys, headDimension: d,
                scores: ScoreRule(softCap: cap, sinks: sinks))
            self.window = window
            self.seed = seed
        }
    }

    /// Around the lane block (64 rows), the block of rows (128) and the tile (128 keys); groups of 1, 2 and 3; cached prefixes.
    static let cases: [Case] = {
        var cases = [
            Case(1, 1, d: 8, heads: (1, 1)), Case(1, 200, d: 80, heads: (3, 1)), Case(3, 140, d: 128, heads: (2, 2), window: 17),
            Case(63, 63, d: 64, heads: (1, 1)), Case(64, 64, d: 8, heads: (2, 1), cap: 1.5), Case(65, 65, d: 64, heads: (2, 2), window: 17),
            Case(64, 300, d: 64, heads: (2, 1)), Case(65, 200, d: 128, heads: (2, 1), cap: 2, hasSinks: true),
            Case(130, 130, d: 7, heads: (2, 2), window: 1), Case(200, 200, d: 80, heads: (3, 1), window: 100, hasSinks: true),
            Case(200, 333, d: 16, heads: (2, 1), window: 17, cap: 1), Case(300, 300, d: 64, heads: (1, 1)),
            Case(300, 300, d: 8, heads: (6, 2), window: 100), Case(300, 300, d: 8, heads: (3, 3), hasSinks: true),
            // Two pieces of rows, and three query heads that share the partial sums.
            Case(1850, 1861, d: 4, heads: (1, 1)), Case(1300, 1300, d: 4, heads: (3, 1), window: 170, cap: 3, hasSinks: true),
        ]
        var random = SeededGenerator(seed: 3)
        func below(_ limit: Int) -> Int { Int(random.next() % UInt64(limit)) }
        for seed in 0..<8 {
            let keys = 1 + below(280), queries = 1 + below(keys), heads = 1 + below(2)
            cases.append(
                Case(
                    queries, keys, d: 1 + below(70), heads: (heads * (1 + below(3)), heads), window: below(2) == 0 ? nil : 1 + below(keys),
                    cap: below(2) == 0 ? nil : 0.5 + 4 * random.uniform(), hasSinks: below(2) == 0, seed: UInt64(seed)))
        }
        return cases
    }()

    @Test(arguments: cases) func matchesDefinition(test: Case) throws {
        let problem = Problem(test)
        let expected = problem.oracle.gradients(ofWeightedOutput: problem.weights, window: test.window ?? test.shape.keyCount)
        let largest = largest(expected.query + expected.key + expected.value)
        for variant in KernelVariant.all {
            let result = try problem.run(variant.kernel(threads: 2))
            // Relative to the largest number of each gradient, or a quarter of the largest of all where one is zero but for rounding.
            let limit = variant.precision == .fp32 ? 1e-4 : 3e-2
            for (name, got, want) in [
                ("query", result.query, expected.query), ("key", result.key, expected.key), ("value", result.value, expected.value),
            ] {
                let error = zip(got, want).reduce(0.0) { worse($0, abs(Double($1.0) - $1.1)) } / max(self.largest(want), largest / 4)
                #expect(error < limit, "\(variant.testDescription), \(name): \(error)")
            }
        }
    }

    private func largest(_ x: [Double]) -> Double { x.reduce(0) { max($0, abs($1)) } }

    /// The formulas themselves: central differences of Σ weights ⊙ output, in double precision.
    @Test(arguments: [Case(3, 5, d: 3, heads: (2, 1), window: 3, cap: 1.5, hasSinks: true), Case(4, 4, d: 2, heads: (2, 2))])
    func definitionMatchesFiniteDifferences(test: Case) {
        let problem = Problem(test)
        let (oracle, window) = (problem.oracle, test.window ?? test.shape.keyCount)
        let gradients = oracle.gradients(ofWeightedOutput: problem.weights, window: window)
        func compare(_ name: String, _ inputs: [Float], _ gradient: [Double], _ with: ([Float]) -> NaiveAttention) {
            for index in inputs.indices {
                var (above, below) = (inputs, inputs)
                above[index] += 0x1p-12
                below[index] -= 0x1p-12
                let difference =
                    with(above).weightedOutput(problem.weights, window: window)
                    - with(below).weightedOutput(problem.weights, window: window)
                let slope = difference / (Double(above[index]) - Double(below[index]))
                #expect(abs(slope - gradient[index]) < 1e-6, "\(name) \(index)")
            }
        }
        compare("query", oracle.query, gradients.query) { oracle.with(queries: $0) }
        compare("key", oracle.key, gradients.key) { oracle.with(keys: $0) }
        compare("value", oracle.value, gradients.value) { oracle.with(values: $0) }
        #expect(largest(gradients.query) > 1e-3 && largest(gradients.key) > 1e-3 && largest(gradients.value) > 1e-3)
    }

    /// Rows of two pieces, several key-value heads at a time or one after the other, memory that was used before.
    @Test(arguments: Precision.allCases) func threadsAndMemoryDoNotChangeTheAnswer(precision: Precision) throws {
        let problem = Problem(Case(1300, 1300, d: 16, heads: (4, 2), window: 200, cap: 3, hasSinks: true))
        var results = try [(1, 256 << 20), (3, 256 << 20), (3, 0)].map { threads, heldBytes in
            try problem.run(AttentionKernel(precision: precision, pool: WorkerPool(threads: threads)), heldBytes: heldBytes)
        }
        // In memory that a larger problem was worked on in.
        let (kernel, workspace) = (try AttentionKernel(precision: precision, pool: WorkerPool(threads: 2)), AttentionWorkspace())
        _ = try Problem(Case(1400, 1400, d: 20, heads: (4, 2))).run(kernel, workspace: workspace)
        results.append(try problem.run(kernel, workspace: workspace))
        for other in results.dropFirst() {
            #expect(results[0].query == other.query && results[0].key == other.key && results[0].value == other.value)
        }
        #expect(results[0].query.allSatisfy { $0.isFinite } && results[0].key.allSatisfy { $0.isFinite })
    }

    /// Memory that no machine has is refused before anything is read or written.
    @Test func refusesWhatDoesNotFit() throws {
        let keys = 1 << 44
        let shape = AttentionShape(queryHeads: 1, keyValueHeads: 1, queryCount: 1, keyCount: keys, headDimension: 8)
        let kernel = try AttentionKernel(pool: WorkerPool(threads: 1))
        let row = AlignedBuffer<Float>(count: 8)
        let one = MutableHeadTensor(projection: row.base, heads: 1, tokens: 1, dimension: 8)
        let many = MutableHeadTensor(projection: row.base, heads: 1, tokens: keys, dimension: 8)
        let error = #expect(throws: InputError.self) {
            try kernel.attentionGradient(
                shape, window: nil, query: one.readOnly, key: many.readOnly, value: many.readOnly, output: one.readOnly,
                logSumExp: UnsafePointer(row.base), outputGradient: one.readOnly, into: (one, many, many))
        }
        #expect(error?.code == .systemFailure)
    }

    /// The softmax's backward pass on one tile under masks of every kind, against the scalar kernels.
    @Test(arguments: KernelVariant.all.filter { !$0.isScalar }, [1, 6, 127, 128]) func scoreGradients(variant: KernelVariant, keys: Int) {
        let scalar = try! InstructionSet.scalar.kernels().tiles(variant.precision)
        let (first, end) = MicrokernelTests.bounds(keys, 5)
        let scores = MicrokernelTests.random(keys * 64, 1), gradients = MicrokernelTests.random(keys * 64, 2)
        let logSums = MicrokernelTests.random(64, 3), dots = MicrokernelTests.random(64, 4)
        // Rows of more than the lane block's own steps, as where two stand side by side.
        let stride = scalar.steps(64) + 5
        func results(_ kernels: SATileKernelTable, cap: Float, isMasked: Bool) -> [Float] {
            let count = (keys - 1) * stride + scalar.steps(64)
            var p = [Float](repeating: 7, count: count), ds = p
            var weights = [Float](repeating: .nan, count: scalar.steps(keys) * 64)
            if isMasked {
                kernels.score_gradients(scores, gradients, Int32(keys), logSums, dots, first, end, cap, &p, &ds, stride, &weights)
            } else {
                kernels.score_gradients(scores, gradients, Int32(keys), logSums, dots, nil, nil, cap, &p, &ds, stride, &weights)
            }
            if variant.precision == .fp32 { return p + ds + weights }
            return (p + ds + weights).flatMap {
                [Float(bitPattern: $0.bitPattern << 16), Float(bitPattern: $0.bitPattern & 0xFFFF_0000)]
            }
        }
        for cap: Float in [0, 2] {
            for isMasked in [false, true] {
                let own = results(variant.tiles, cap: cap, isMasked: isMasked), expected = results(scalar, cap: cap, isMasked: isMasked)
                // One rounding of a BF16 number may fall the other way.
                let limit: Float = variant.precision == .fp32 ? 1e-5 : 0x1p-7
                #expect(MicrokernelTests.difference(own, expected, floor: 0.1) < limit, "cap \(cap), masked \(isMasked)")
                #expect(zip(own, expected).allSatisfy { ($0 == 0) == ($1 == 0) }, "what is masked is zero, and nothing else")
            }
        }
    }

    /// Random heads in projection layout, and weights that make a scalar of the output.
    struct Problem {
        let test: Case
        let oracle: NaiveAttention
        let weights: [Float]

        init(_ test: Case) {
            self.test = test
            oracle = NaiveAttention(shape: test.shape, seed: test.seed)
            weights = MicrokernelTests.random(oracle.query.count, test.seed + 100)
        }

        /// Forward and backward; everything that is written to was not a number before.
        func run(
            _ kernel: AttentionKernel, heldBytes: Int = 256 << 20, workspace: AttentionWorkspace = AttentionWorkspace()
        ) throws -> (query: [Float], key: [Float], value: [Float]) {
            let shape = test.shape, d = shape.headDimension
            let patterns = (0..<shape.queryHeads).map { _ in
                test.window.map { SparsePattern.windowColumns(WindowColumns(window: min($0, shape.keyCount), columns: [])) } ?? .dense
            }
            let forward = try AttentionKernelTests.run(oracle, patterns: patterns, kernel: kernel)
            var query = oracle.query.map { _ in Float.nan }, key = oracle.key.map { _ in Float.nan }, value = key
            try oracle.withTensors { q, k, v in
                try forward.output.withUnsafeBufferPointer { output in
                    try weights.withUnsafeBufferPointer { weights in
                        try query.withUnsafeMutableBufferPointer { query in
                            try key.withUnsafeMutableBufferPointer { key in
                                try value.withUnsafeMutableBufferPointer { value in
                                    func rows(_ base: UnsafePointer<Float>) -> HeadTensor {
                                        HeadTensor(projection: base, heads: shape.queryHeads, tokens: shape.queryCount, dimension: d)
                                    }
                                    func gradient(_ base: UnsafeMutablePointer<Float>, like tensor: HeadTensor) -> MutableHeadTensor {
                                        MutableHeadTensor(projection: base, heads: tensor.heads, tokens: tensor.tokens, dimension: d)
                                    }
                                    try kernel.attentionGradient(
                                        shape, window: test.window, query: q, key: k, value: v, output: rows(output.baseAddress!),
                                        logSumExp: forward.logSumExp, outputGradient: rows(weights.baseAddress!),
                                        into: (
                                            gradient(query.baseAddress!, like: q), gradient(key.baseAddress!, like: k),
                                            gradient(value.baseAddress!, like: v)
                                        ), heldBytes: heldBytes, workspace: workspace)
                                }
                            }
                        }
                    }
                }
            }
            return (query, key, value)
        }
    }
}
