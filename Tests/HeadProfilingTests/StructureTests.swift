import AttentionCore
import AttentionKernels
import AttentionTestSupport
import HeadProfiling
import Parallelism
import SampleAttention
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// Structured patterns and mass shares against probabilities formed row by row in double precision.
@Suite struct StructureTests {
    /// Whole prompts and prompts with cached keys, around the edges of blocks; spreads from flat to sharp.
    static let cases: [(queries: Int, keys: Int, spread: Double)] = [(300, 300, 2), (257, 257, 6), (130, 330, 0.5), (70, 70, 3)]

    static func measure(_ oracle: NaiveAttention, alphas: [Double]) throws -> [HeadMeasurement] {
        let profiler = HeadProfiler(kernel: try AttentionKernel(pool: WorkerPool(threads: 2)))
        let scale = ProfileScale(alphas: try alphas.map { try Fraction($0) })
        let pattern = SparsePattern.windowColumns(WindowColumns(window: 20, columns: [0, 5, 33]))
        return try oracle.withTensors { query, key, value in
            try profiler.profile(
                layer: 0, inputs: .init(query: query, key: key, value: value), patterns: [pattern, .dense], sampledMasses: [1, 1],
                scale: scale, workspace: AttentionWorkspace())
        }
    }

    /// P [row][key].
    static func rows(_ oracle: NaiveAttention, head: Int) -> [[Double]] {
        (0..<oracle.shape.queryCount).map { oracle.probabilities(head: head, row: $0) }
    }

    static func oracle(_ made: (queries: Int, keys: Int, spread: Double)) -> NaiveAttention {
        NaiveAttention(
            shape: AttentionShape(queryHeads: 2, keyValueHeads: 1, queryCount: made.queries, keyCount: made.keys, headDimension: 8),
            seed: 31, spread: Float(made.spread))
    }

    /// The curve's own patterns, kept pair by kept pair.
    @Test(arguments: cases.indices) func curvesAreWhatTheirPatternsKeep(index: Int) throws {
        let oracle = Self.oracle(Self.cases[index])
        let shape = oracle.shape
        for measured in try Self.measure(oracle, alphas: [0.9, 0.95]) {
            let rows = Self.rows(oracle, head: measured.profile.head)
            let curve = measured.profile.curve
            guard let window = curve.window else { continue }
            var outside = [Double](repeating: 0, count: shape.keyCount)
            for (row, p) in rows.enumerated() {
                for (key, mass) in p.enumerated() where key <= shape.firstPosition + row - window { outside[key] += mass }
            }
            let ranked = outside.indices.sorted { (-outside[$0], $0) < (-outside[$1], $1) }
            #expect(curve.lines.first == 0 && curve.lines.last == shape.keyCount)
            for (step, count) in curve.lines.enumerated() {
                let pattern = SparsePattern.windowColumns(
                    WindowColumns(window: window, columns: ranked[..<count].map(Int32.init).sorted()))
                let kept = rows.enumerated().map { row, p in
                    p.enumerated().reduce(0.0) {
                        pattern.keeps(key: $1.offset, position: shape.firstPosition + row, shape: shape) ? $0 + $1.element : $0
                    }
                }
                #expect(abs(curve.leastMasses[step] - kept.min()!) < 2e-6)
                #expect(abs(curve.meanMasses[step] - kept.reduce(0, +) / Double(kept.count)) < 2e-6)
                // Which columns join last, of those with next to no mass, is rounding's choice.
                guard count == 0 || count == shape.keyCount || outside[ranked[count - 1]] > 1e-9 else { continue }
                #expect(abs(curve.densities[step] - pattern.density(shape)) < 1e-12)
            }
        }
    }

    @Test(arguments: cases.indices) func degreesAreOrdered(index: Int) throws {
        for measured in try Self.measure(Self.oracle(Self.cases[index]), alphas: [0.5, 0.9, 0.99, 1]) {
            let profile = measured.profile
            for step in profile.sparsityDegrees.indices {
                let (every, mean) = (profile.structured[step], profile.structuredMean[step])
                for degree in [every.windowColumns.degree, every.columnsSlashes.degree, every.keyBlocks.degree] {
                    #expect(degree >= 0 && degree <= profile.sparsityDegrees[step] + 1e-12)
                }
                // A pattern that gives every query α gives the mean query α.
                #expect(every.windowColumns.degree <= mean.windowColumns.degree)
                #expect(every.columnsSlashes.degree <= mean.columnsSlashes.degree)
                #expect(every.keyBlocks.degree <= mean.keyBlocks.degree)
                #expect(every.best == [every.windowColumns, every.columnsSlashes, every.keyBlocks].map(\.degree).max())
                #expect(abs(profile.structureGaps[step] - (profile.sparsityDegrees[step] - every.best)) < 1e-12)
            }
            for structured in [profile.structured, profile.structuredMean] {
                #expect(zip(structured, structured.dropFirst()).allSatisfy { $0.best >= $1.best })
            }
        }
    }

    /// The columns and slashes that a choice stands for do keep α, and one step fewer does not.
    @Test func slashesFollowTheirRanking() throws {
        let shape = AttentionShape(queryHeads: 1, keyValueHeads: 1, queryCount: 700, keyCount: 700, headDimension: 4)
        let oracle = NaiveAttention(shape: shape, seed: 3, spread: 0.2)
        let profiler = HeadProfiler(kernel: try AttentionKernel(pool: WorkerPool(threads: 2)))
        let alphas = [0.3, 0.6, 0.8]
        let measured = try oracle.withTensors { query, key, value in
            try profiler.profile(
                layer: 0, inputs: .init(query: query, key: key, value: value), patterns: [.dense], sampledMasses: [1],
                scale: ProfileScale(alphas: alphas.map { try! Fraction($0) }), workspace: AttentionWorkspace())
        }[0].profile
        let rows = Self.rows(oracle, head: 0)
        // By mass a pair: columns 0 ..< 6, then slashes 0 ..< 6, of which slash 0 comes first.
        var mass = [Double](repeating: 0, count: 12), pairs = mass
        for (row, p) in rows.enumerated() {
            for (key, value) in p.enumerated() {
                for line in [key / 128, 6 + row / 128 - key / 128] { mass[line] += value; pairs[line] += 1 }
            }
        }
        let ranked = [6] + (0..<12).filter { $0 != 6 }.sorted { mass[$0] / pairs[$0] > mass[$1] / pairs[$1] }
        func kept(_ count: Int) -> (least: Double, mean: Double, degree: Double) {
            let lines = ranked[..<count]
            let pattern = SparsePattern.columnsSlashes(
                ColumnsSlashes(
                    columns: lines.filter { $0 < 6 }.map(Int32.init).sorted(),
                    slashes: lines.filter { $0 >= 6 }.map { Int32($0 - 6) }.sorted()))
            let masses = rows.enumerated().map { row, p in
                p.enumerated().reduce(0.0) { pattern.keeps(key: $1.offset, position: row, shape: shape) ? $0 + $1.element : $0 }
            }
            return (masses.min()!, masses.reduce(0, +) / 700, 1 - pattern.density(shape))
        }
        for (alpha, (every, mean)) in zip(alphas, zip(measured.structured, measured.structuredMean)) {
            for (choice, value) in [
                (every.columnsSlashes, \(least: Double, mean: Double, degree: Double).least), (mean.columnsSlashes, \.mean),
            ] {
                #expect(kept(choice.lines)[keyPath: value] >= alpha)
                #expect(abs(kept(choice.lines).degree - choice.degree) < 1e-12)
                let fewer = LineCountsOracle.before(choice.lines, of: 12)
                #expect(fewer == 0 || kept(fewer)[keyPath: value] < alpha, "\(choice.lines) lines for \(alpha)")
            }
        }
    }

    @Test(arguments: cases.indices) func sharesAreSums(index: Int) throws {
        let oracle = Self.oracle(Self.cases[index])
        let shape = oracle.shape
        let scale = ProfileScale(alphas: [.one])
        for measured in try Self.measure(oracle, alphas: [0.9]) {
            let masses = measured.profile.masses
            let rows = Self.rows(oracle, head: measured.profile.head)
            func mean(_ keeps: (_ key: Int, _ position: Int) -> Bool) -> Double {
                rows.enumerated().reduce(0) { sum, row in
                    row.element.enumerated().reduce(sum) {
                        keeps($1.offset, shape.firstPosition + row.offset) ? $0 + $1.element : $0
                    }
                } / Double(shape.queryCount)
            }
            for (count, mass) in zip(scale.sinks, masses.sinks) { #expect(abs(mass - mean { key, _ in key < count }) < 1e-6) }
            for (window, mass) in zip(scale.windows, masses.windows) { #expect(abs(mass - mean { $1 - $0 < window }) < 1e-6) }
            let columns = (0..<shape.keyCount).map { column in mean { key, _ in key == column } }.sorted(by: >)
            for (count, mass) in zip(scale.columns, masses.columns) { #expect(abs(mass - columns.prefix(count).reduce(0, +)) < 1e-6) }
            let slashes = (0..<3).map { slash in mean { $1 / 128 - $0 / 128 == slash } }.sorted(by: >)
            for (count, mass) in zip(scale.slashes, masses.slashes) { #expect(abs(mass - slashes.prefix(count).reduce(0, +)) < 1e-6) }
        }
    }

    @Test(arguments: cases.indices) func picturesShowTheMap(index: Int) throws {
        let oracle = Self.oracle(Self.cases[index])
        let shape = oracle.shape
        let measured = try Self.measure(oracle, alphas: [0.9])
        for (head, picture) in measured.map(\.picture).enumerated() {
            let rows = Self.rows(oracle, head: head)
            var cell = 0
            #expect(picture.side * picture.cellTokens >= shape.keyCount && (picture.side - 1) * picture.cellTokens < shape.keyCount)
            for query in 0..<picture.side {
                for key in 0...query {
                    let members = rows.enumerated().filter { (shape.firstPosition + $0.offset) / picture.cellTokens == query }
                    let mass = members.reduce(0.0) { sum, row in
                        row.element.enumerated().reduce(sum) { $1.offset / picture.cellTokens == key ? $0 + $1.element : $0 }
                    }
                    #expect(abs(Double(picture.mass[cell]) - (members.isEmpty ? 0 : mass / Double(members.count))) < 1e-5)
                    #expect((0...1).contains(picture.kept[cell]))
                    if head == 1, !members.isEmpty { #expect(picture.kept[cell] == 1) }
                    cell += 1
                }
            }
            #expect(cell == picture.mass.count && cell == picture.kept.count)
        }
    }

    /// Several patterns a head in one pass.
    @Test func manyPatternsAtOnce() throws {
        let oracle = Self.oracle((200, 260, 3))
        let patterns = (1...9).map { SparsePattern.windowColumns(WindowColumns(window: 7 * $0, columns: [Int32($0), 100, 150])) }
        let profiler = HeadProfiler(kernel: try AttentionKernel(pool: WorkerPool(threads: 2)))
        let masses = try oracle.withTensors { query, key, value in
            try profiler.retainedMasses(
                layer: 3, inputs: .init(query: query, key: key, value: value), patterns: [patterns, [patterns[4]]],
                workspace: AttentionWorkspace())
        }
        #expect(masses.map(\.count) == [9, 1])
        let rows = Self.rows(oracle, head: 0)
        for (pattern, mass) in zip(patterns, masses[0]) {
            let expected = RetainedMass(
                rows: rows.enumerated().map { row, p in
                    p.enumerated().reduce(0.0) {
                        pattern.keeps(key: $1.offset, position: 60 + row, shape: oracle.shape) ? $0 + $1.element : $0
                    }
                })
            #expect(abs(mass.mean - expected.mean) < 1e-6 && abs(mass.minimum - expected.minimum) < 1e-6)
            #expect(mass.worstQuery == expected.worstQuery)
        }
    }

    @Test func overlapsAreSetAndMass() throws {
        let oracle = Self.oracle((300, 300, 2))
        let measured = try Self.measure(oracle, alphas: [0.9])
        let own = measured[0].columns
        #expect(own.positions == [0, 5, 33])
        let overlap = try #require(ColumnOverlap(own, borrowing: [0, 5, 80, 81]))
        #expect(abs(overlap.jaccard - 2.0 / 5) < 1e-12)
        #expect(abs(overlap.chance - (12.0 / 300) / (7 - 12.0 / 300)) < 1e-12)
        let rows = Self.rows(oracle, head: 0)
        for (columns, mass) in [([0, 5, 33], overlap.ownMass), ([0, 5, 80, 81], overlap.sharedMass)] {
            let kept = rows.enumerated().reduce(0.0) { sum, row in
                row.element.enumerated().reduce(sum) { row.offset - $1.offset < 20 || columns.contains($1.offset) ? $0 + $1.element : $0 }
            }
            #expect(abs(mass - kept / 300) < 1e-6)
        }
        #expect(ColumnOverlap(own, borrowing: []) == nil)
        #expect(ColumnOverlap(measured[1].columns, borrowing: [1]) == nil)
    }
}

/// The grid of counts, written from its description: 0, 1, 2, 3, …, four to an octave, up to all.
private enum LineCountsOracle {
    static func before(_ count: Int, of all: Int) -> Int {
        var grid = [0]
        for step in 0..<60 { grid.append(max(grid.last! + 1, Int(exp2(Double(step) / 4).rounded()))) }
        return grid.last { $0 < min(count, all) } ?? 0
    }
}
