import AttentionCore
import AttentionKernels
import AttentionTestSupport
import Parallelism
import Testing

@Suite struct SampledScoresTests {
    /// Relative to 1 + the mass: FP32, and BF16 with operands off by up to 2⁻⁸, whose errors are mostly of both signs.
    static func limit(_ precision: Precision) -> Double { precision == .fp32 ? 1e-4 : 2e-2 }

    /// Of scores that a model caps too.
    @Test(arguments: KernelVariant.all, [1, 3, 70]) func columnMassMatchesOracle(
        on variant: KernelVariant, step: Int
    ) throws {
        let shape = AttentionShape(
            queryHeads: 2, keyValueHeads: 1, queryCount: 201, keyCount: 333, headDimension: 24,
            scores: step == 3 ? ScoreRule(softCap: 1, sinks: [0, 9]) : .standard)
        let oracle = NaiveAttention(shape: shape, seed: 77)
        let rows = Array(stride(from: 2, to: shape.queryCount, by: step))
        let scores = SampledScores(
            kernel: variant.kernel(threads: 2))
        for rule in [SampledScores.MassRule.all, .outsideWindow(1), .outsideWindow(100), .outsideWindow(400)] {
            let masses = oracle.withTensors { query, key, _ in
                scores.columnMasses(
                    query: query, key: key, shape: shape, requests: [0, 1].map { ($0, rows, rule) }, workspace: AttentionWorkspace())
            }
            for head in 0..<2 {
                var expected = [Double](repeating: 0, count: shape.keyCount)
                for row in rows {
                    let position = shape.firstPosition + row
                    for (token, p) in oracle.probabilities(head: head, row: row).enumerated() {
                        if case .outsideWindow(let window) = rule, token > position - window { continue }
                        expected[token] += p
                    }
                }
                for (got, want) in zip(masses[head], expected) {
                    #expect(abs(Double(got) - want) < Self.limit(variant.precision) * (1 + want))
                }
            }
        }
    }

    /// Columns and slashes in blocks of 128 tokens, with a cached prefix that is no multiple of it.
    @Test(arguments: KernelVariant.all) func blockMassMatchesOracle(on variant: KernelVariant) throws {
        let shape = AttentionShape(queryHeads: 2, keyValueHeads: 1, queryCount: 301, keyCount: 433, headDimension: 24)
        let oracle = NaiveAttention(shape: shape, seed: 78)
        let rows = Array(stride(from: 0, to: shape.queryCount, by: 2))
        let scores = SampledScores(
            kernel: variant.kernel(threads: 2))
        let masses = oracle.withTensors { query, key, _ in
            scores.blockMasses(
                query: query, key: key, shape: shape, requests: [(0, rows), (1, [7])], workspace: AttentionWorkspace())
        }
        for (head, rows) in [rows, [7]].enumerated() {
            var columns = [Double](repeating: 0, count: 4), slashes = columns
            for row in rows {
                let position = shape.firstPosition + row
                for (token, p) in oracle.probabilities(head: head, row: row).enumerated() {
                    columns[token / 128] += p
                    slashes[position / 128 - token / 128] += p
                }
            }
            for (got, want) in zip(masses[head].columns + masses[head].slashes, columns + slashes) {
                #expect(abs(Double(got) - want) < Self.limit(variant.precision) * (1 + want))
            }
        }
    }

    /// Blocks that are mostly empty, on prompts of about one tile, and a last tile whose scores tower over what came before.
    @Test(arguments: KernelVariant.all, [(67, 7, 1), (100, 7, 1), (128, 7, 1), (256, 90, 30)]) func shortAndRisingPrompts(
        on variant: KernelVariant, prompt: (keys: Int, rows: Int, rise: Float)
    ) throws {
        let shape = AttentionShape(queryHeads: 2, keyValueHeads: 1, queryCount: prompt.keys, keyCount: prompt.keys, headDimension: 16)
        let oracle = NaiveAttention(shape: shape, seed: 5).with(keysFrom: prompt.keys - 50, times: prompt.rise)
        let rows = (0..<prompt.rows).map { $0 * (prompt.keys - 1) / (prompt.rows - 1) }
        let scores = SampledScores(kernel: variant.kernel(threads: 2))
        let masses = oracle.withTensors { query, key, _ in
            scores.columnMasses(
                query: query, key: key, shape: shape, requests: [(0, rows, .all), (1, rows, .all)], workspace: AttentionWorkspace())
        }
        for head in 0..<2 {
            var expected = [Double](repeating: 0, count: prompt.keys)
            for row in rows { for (token, p) in oracle.probabilities(head: head, row: row).enumerated() { expected[token] += p } }
            // Large scores carry the rounding of their operands into the exponent.
            let limit = Self.limit(variant.precision) * Double(max(1, prompt.rise / 3))
            for (got, want) in zip(masses[head], expected) { #expect(abs(Double(got) - want) < limit * (1 + want)) }
            #expect(abs(masses[head].reduce(0) { $0 + Double($1) } - Double(prompt.rows)) < 0.01 * Double(prompt.rows))
        }
    }

    /// Every kind of pattern, in shapes with and without cached keys; rows at random, some of them twice.
    @Test(arguments: KernelVariant.all) func retainedMassesMatchOracle(on variant: KernelVariant) throws {
        let scores = SampledScores(kernel: variant.kernel(threads: 2))
        for (seed, made) in PatternCase.all.enumerated() {
            let shape = made.shape
            let oracle = NaiveAttention(shape: shape, seed: UInt64(seed))
            var random = SeededGenerator(seed: UInt64(seed))
            let rows = (0..<min(150, shape.queryCount)).map { _ in Int(random.uniform() * Double(shape.queryCount)) }.sorted()
            let masses = oracle.withTensors { query, key, _ in
                scores.retainedMasses(
                    query: query, key: key, shape: shape, requests: [(0, rows, made.pattern), (0, [0], .dense)],
                    workspace: AttentionWorkspace())
            }
            #expect(masses[1] == [1])
            #expect(masses[0].count == rows.count)
            for (row, mass) in zip(rows, masses[0]) {
                let position = shape.firstPosition + row
                let expected = oracle.probabilities(head: 0, row: row).enumerated().reduce(0) { sum, entry in
                    made.keeps(entry.offset, position) || entry.offset == position ? sum + entry.element : sum
                }
                #expect(abs(mass - expected) < Self.limit(variant.precision), "\(made), row \(row)")
            }
        }
    }

    /// Maxima of vectors pass over what is not a number, and an infinite score shifts all others to nothing: every sum of every row that
    /// meets one must still be none, by whatever instruction set, and the rows before it must not notice.
    @Test(arguments: KernelVariant.all, [Float.nan, -.nan, .infinity, -.infinity]) func brokenKeysReachTheMasses(
        on variant: KernelVariant, number: Float
    ) throws {
        let scores = SampledScores(kernel: variant.kernel(threads: 2))
        let shape = AttentionShape(queryHeads: 2, keyValueHeads: 1, queryCount: 200, keyCount: 300, headDimension: 12)
        let window = SparsePattern.windowColumns(WindowColumns(window: 5, columns: [1]))
        let whole = NaiveAttention(shape: shape, seed: 6)
        // In a whole tile, under the mask of the block that holds it, as the first key of all, and as the last.
        for broken in [0, 110, 150, 299] {
            let oracle = whole.with(brokenKey: broken, as: number)
            // One lane block of one row, and several with most lanes taken.
            for rows in [[199], Array(0..<200)] {
                let found = masses(oracle, scores, rows: rows, pattern: window)
                let expected = masses(whole, scores, rows: rows, pattern: window)
                for head in 0..<2 {
                    for (index, row) in rows.enumerated() {
                        // A score of −∞ is a weight of 0.
                        let isBroken = broken <= 100 + row && !(oracle.query[(row * 2 + head) * 12] * number < 0)
                        let (mass, label) = (found.retained[head][index], "key \(broken), head \(head), row \(row)")
                        if isBroken { #expect(mass.isNaN, "\(label): \(mass)") }
                        if broken > 100 + row {
                            #expect(abs(mass - expected.retained[head][index]) < Self.limit(variant.precision), "\(label): \(mass)")
                        }
                        if !isBroken { #expect(mass.isFinite, "\(label): \(mass)") }
                    }
                    if number.isNaN {
                        #expect(found.columns[head][broken].isNaN && found.blocks[head].columns[broken / 128].isNaN)
                        #expect(found.blocks[head].slashes.contains { $0.isNaN })
                    }
                }
            }
        }
    }

    private func masses(
        _ oracle: NaiveAttention, _ scores: SampledScores, rows: [Int], pattern: SparsePattern
    ) -> (columns: [[Float]], blocks: [SampledScores.BlockMasses], retained: [[Double]]) {
        oracle.withTensors { query, key, _ in
            let (shape, workspace) = (oracle.shape, AttentionWorkspace())
            return (
                scores.columnMasses(
                    query: query, key: key, shape: shape, requests: [0, 1].map { ($0, rows, .all) }, workspace: workspace),
                scores.blockMasses(query: query, key: key, shape: shape, requests: [0, 1].map { ($0, rows) }, workspace: workspace),
                scores.retainedMasses(
                    query: query, key: key, shape: shape, requests: [0, 1].map { ($0, rows, pattern) }, workspace: workspace)
            )
        }
    }

    /// A kernel may fill the room of a whole tile of floats, also at the strip's last tile and in BF16.
    @Test(arguments: Precision.allCases, [1, 100, 128, 129, 1000]) func stripsHoldWholeTiles(precision: Precision, keys: Int) throws {
        let layout = SampledStrip.Layout(keys: keys, kernels: try InstructionSet.best.kernels().tiles(precision))
        let memory = AlignedBuffer<Float>(count: layout.floats)
        let last = SampledStrip(layout: layout, base: memory.base).probabilities(tile: layout.tiles - 1)
        #expect(last - memory.base + KernelTable.tileKeys * KernelTable.lanes <= layout.floats)
    }

    @Test func threadsDoNotChangeTheMass() throws {
        let shape = AttentionShape(queryHeads: 1, keyValueHeads: 1, queryCount: 700, keyCount: 700, headDimension: 8)
        let oracle = NaiveAttention(shape: shape, seed: 3)
        let masses = try [1, 3].map { threads in
            let scores = SampledScores(kernel: try AttentionKernel(pool: WorkerPool(threads: threads)))
            return oracle.withTensors { query, key, _ in
                scores.columnMasses(
                    query: query, key: key, shape: shape, requests: [(0, Array(0..<700), .all)], workspace: AttentionWorkspace())
            }
        }
        #expect(masses[0] == masses[1])
    }

    @Test(arguments: InstructionSet.allCases.filter(\.isAvailable)) func heavyProbabilitiesOfRowsMatchOracle(instructionSet: InstructionSet)
        throws
    {
        let shape = AttentionShape(queryHeads: 1, keyValueHeads: 1, queryCount: 150, keyCount: 190, headDimension: 16)
        let oracle = NaiveAttention(shape: shape, seed: 8)
        let rows = [0, 5, 6, 99, 149]
        let scores = SampledScores(kernel: try AttentionKernel(instructionSet: instructionSet, pool: WorkerPool(threads: 1)))
        let workspace = AttentionWorkspace()
        let layout = scores.prepareStrips(workspace, shape: shape, precision: .fp32)
        let stride = 200 + RowKernels.collectSlack
        let room = AlignedBuffer<Float>(count: SampledScores.lanesPerBlock * stride)
        // Limits from everything to nothing.
        let limits: [Float] = [.leastNonzeroMagnitude, 0.05, 0.02, 0.01, 2]
        let least = limits + [Float](repeating: 1, count: SampledScores.lanesPerBlock - limits.count)
        oracle.withTensors { query, key, _ in
            let block = scores.block(
                query: query, key: key, rows: rows[...], rule: .standard, precision: .fp32, worker: 0, workspace: workspace)
            let strip = workspace.strip(layout, worker: 0)
            block.scoreAll(into: strip)
            block.collect(strip: strip, least: least, into: room.base, stride: stride) { lane, collected, rest in
                let row = oracle.probabilities(head: 0, row: rows[lane])
                let expected = row.filter { $0 >= Double(limits[lane]) }
                #expect(collected.count == expected.count)
                for (one, want) in zip(collected, expected) { #expect(abs(Double(one) - want) < 1e-6 + 1e-5 * want) }
                #expect(abs(rest - row.filter { $0 < Double(limits[lane]) }.reduce(0, +)) < 1e-5)
            }
        }
    }
}
