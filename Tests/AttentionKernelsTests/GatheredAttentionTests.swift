import AttentionCore
import AttentionKernels
import AttentionTestSupport
import Parallelism
import Testing

/// Softmaxes put together from groups of keys, against the double-precision oracle.
@Suite struct GatheredAttentionTests {
    /// Two buckets for queries and two for keys, drawn at random; cached keys before the queries.
    static let shapes = [(1, 1), (5, 90), (64, 64), (140, 140), (300, 420)].flatMap { queries, keys in
        [ScoreRule.standard, ScoreRule(softCap: 0.9, sinks: [-3, 0, 2, 8])].map {
            AttentionShape(queryHeads: 4, keyValueHeads: 2, queryCount: queries, keyCount: keys, headDimension: 16, scores: $0)
        }
    }

    struct Run {
        let output, logSumExp: [Float]
    }

    static func run(_ passes: [[GatheredGroup]], oracle: NaiveAttention, kernel: AttentionKernel) -> Run {
        let shape = oracle.shape
        let rows = shape.queryHeads * shape.queryCount
        // Whatever was in memory must not matter.
        var output = [Float](repeating: .nan, count: rows * shape.headDimension)
        var sums = [Float](repeating: 0, count: rows)
        output.withUnsafeMutableBufferPointer { output in
            let target = MutableHeadTensor(
                projection: output.baseAddress!, heads: shape.queryHeads, tokens: shape.queryCount, dimension: shape.headDimension)
            let softmax = GatheredSoftmax(shape: shape, output: target)
            let workspace = AttentionWorkspace()
            oracle.withTensors { query, key, value in
                for groups in passes {
                    kernel.accumulate(groups, query: query, key: key, value: value, into: softmax, workspace: workspace)
                }
            }
            softmax.finish()
            sums.withUnsafeMutableBufferPointer { softmax.copyLogSumExp(to: $0.baseAddress!) }
        }
        return Run(output: output, logSumExp: sums)
    }

    static func check(
        _ run: Run, oracle: NaiveAttention, kernel: AttentionKernel, keeps: (_ head: Int, _ key: Int, _ position: Int) -> Bool
    ) {
        let shape = oracle.shape
        for head in 0..<shape.queryHeads {
            for row in 0..<shape.queryCount {
                let expected = oracle.row(head: head, row: row) { keeps(head, $0, shape.firstPosition + row) }
                let coarse = AttentionKernelTests.coarseTolerance(oracle, head: head, row: row)
                let limit = kernel.precision == .fp32 ? 2 * AttentionKernelTests.tolerance(shape) : coarse
                let start = (row * shape.queryHeads + head) * shape.headDimension
                for t in 0..<shape.headDimension {
                    let error = abs(Double(run.output[start + t]) - expected.output[t])
                    #expect(error <= limit * expected.magnitude[t] + 1e-6, "head \(head) row \(row): \(error)")
                }
                let sum = Double(run.logSumExp[head * shape.queryCount + row])
                #expect(abs(sum - expected.logSumExp) <= limit * 4, "head \(head) row \(row): \(sum), \(expected.logSumExp)")
            }
        }
    }

    static var kernels: [AttentionKernel] { KernelVariant.all.map { $0.kernel(threads: 2) } }

    @Test(arguments: shapes) func bucketsKeepWhatHashesAlikeAndTheRowsOwnKey(shape: AttentionShape) {
        var random = SeededGenerator(seed: 3)
        let oracle = NaiveAttention(shape: shape, seed: 11)
        let queryBuckets = (0..<shape.queryHeads).map { _ in (0..<shape.queryCount).map { _ in Int(random.next() % 3) } }
        let keyBuckets = (0..<shape.queryHeads).map { _ in (0..<shape.keyCount).map { _ in Int(random.next() % 3) } }
        let groups = (0..<shape.queryHeads).flatMap { head in
            (0..<3).map { bucket in
                GatheredGroup(
                    head: head, queries: (0..<shape.queryCount).filter { queryBuckets[head][$0] == bucket }.map(Int32.init),
                    keys: (0..<shape.keyCount).filter { keyBuckets[head][$0] == bucket }.map(Int32.init), rule: .upToOwnPosition)
            }
        }
        let keeps = { (head: Int, key: Int, position: Int) in
            key == position || key < position && queryBuckets[head][position - shape.firstPosition] == keyBuckets[head][key]
        }
        for kernel in Self.kernels {
            Self.check(Self.run([groups], oracle: oracle, kernel: kernel), oracle: oracle, kernel: kernel, keeps: keeps)
        }
        let pairs = (0..<shape.queryHeads).reduce(0) { total, head in
            total
                + (shape.firstPosition..<shape.keyCount).reduce(0) { sum, position in
                    sum + (0...position).count { keeps(head, $0, position) }
                }
        }
        #expect(groups.reduce(0) { $0 + $1.pairs(firstPosition: shape.firstPosition) } == pairs)
    }

    /// Keys that come in two passes, one of them as samples that stand for more: sums of pairs do not see the weight, outputs do.
    @Test func passesAddUpAndWeightsCount() {
        let shape = AttentionShape(queryHeads: 1, keyValueHeads: 1, queryCount: 70, keyCount: 400, headDimension: 16)
        let oracle = NaiveAttention(shape: shape, seed: 4)
        let rows = (0..<Int32(70)).map(\.self)
        let own = GatheredGroup(head: 0, queries: rows, keys: Array(200..<400), rule: .upToOwnPosition)
        let even = Array(Swift.stride(from: Int32(0), to: 200, by: 2))
        let samples = GatheredGroup(head: 0, queries: rows, keys: even, rule: .all)
        for kernel in Self.kernels {
            Self.check(Self.run([[own], [samples]], oracle: oracle, kernel: kernel), oracle: oracle, kernel: kernel) { _, key, position in
                key <= position && (key >= 200 || key.isMultiple(of: 2))
            }
        }
        // A key met twice counts twice, as a weight of two does.
        let kernel = try! AttentionKernel(instructionSet: .scalar, pool: WorkerPool(threads: 1))
        let twice = Self.run([[own], [samples], [samples]], oracle: oracle, kernel: kernel)
        let weighted = GatheredGroup(head: 0, queries: rows, keys: even, rule: .all, logWeight: 0.6931472)
        let heavy = Self.run([[own], [weighted]], oracle: oracle, kernel: kernel)
        for (a, b) in zip(twice.output, heavy.output) { #expect(abs(a - b) < 1e-5) }
        #expect(zip(twice.logSumExp, heavy.logSumExp).allSatisfy { $0 > $1 })
    }

    /// A key that is not a number is not passed over, whichever pass meets it.
    @Test func notANumberIsSeen() {
        let shape = AttentionShape(queryHeads: 1, keyValueHeads: 1, queryCount: 80, keyCount: 80, headDimension: 16)
        let oracle = NaiveAttention(shape: shape, seed: 4).with(brokenKey: 20)
        let rows = (0..<Int32(80)).map(\.self)
        let broken = [GatheredGroup(head: 0, queries: rows, keys: Array(0..<40), rule: .upToOwnPosition)]
        let sound = [GatheredGroup(head: 0, queries: rows, keys: Array(40..<80), rule: .upToOwnPosition)]
        for kernel in Self.kernels {
            for passes in [[broken, sound], [sound, broken]] {
                let run = Self.run(passes, oracle: oracle, kernel: kernel)
                #expect(run.output[(79 * 16)...].contains { !$0.isFinite }, "\(kernel.instructionSet)")
            }
        }
    }
}
