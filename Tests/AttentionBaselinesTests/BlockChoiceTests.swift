import AttentionBaselines
import AttentionCore
import AttentionKernels
import AttentionTestSupport
import SampleAttention
import Testing

/// Systems that choose blocks of keys by what stands for a block, each against a definition of its own here.
@Suite struct BlockChoiceTests {
    static let shapes = [(1000, 1000), (389, 389), (330, 1000), (40, 90)]

    /// Four query heads of two key-value heads, with scores far from flat, so that which blocks are chosen is no matter of rounding.
    private func fixture(_ queries: Int, _ keys: Int) -> Fixture {
        let plain = Fixture(queries: queries, keys: keys).oracle
        return Fixture(oracle: plain.with(queries: plain.query.map { $0 * 3 }))
    }

    private func query(_ fixture: Fixture, head: Int, row: Int) -> [Double] {
        fixture.oracle.query[(row * 4 + head) * 16..<(row * 4 + head + 1) * 16].map(Double.init)
    }

    private func keys(_ fixture: Fixture, head: Int, _ tokens: Range<Int>) -> [[Double]] {
        tokens.map { token in fixture.oracle.key[(token * 2 + head / 2) * 16..<(token * 2 + head / 2 + 1) * 16].map(Double.init) }
    }

    @Test(arguments: shapes) func questKeepsThePagesWithTheLargestBounds(queries: Int, keys: Int) throws {
        let fixture = fixture(queries, keys)
        let first = keys - queries
        var method = Quest()
        // The four pages of the query block, and five before them.
        method.tokenBudget = 64 + 5 * 16
        var dropped = 0
        for (head, pattern) in try fixture.patterns(method).enumerated() {
            for start in Swift.stride(from: first / 64 * 64, to: keys, by: 64) {
                let own = max(first, start)..<min(keys, start + 64)
                let rows = own.map { query(fixture, head: head, row: $0 - first) }
                let bounds = (0..<start / 16).map { page -> Double in
                    let members = self.keys(fixture, head: head, page * 16..<page * 16 + 16)
                    return rows.map { row in
                        row.indices.reduce(0.0) { sum, t in sum + members.map { row[t] > 0 ? $0[t] : -$0[t] }.max()! * abs(row[t]) }
                    }.max()!
                }
                let best = Set(bounds.indices.sorted { bounds[$0] > bounds[$1] }.prefix(5))
                dropped += bounds.count - best.count
                for position in [own.lowerBound, own.upperBound - 1] {
                    let expected = (0...position).filter { $0 >= start || best.contains($0 / 16) }
                    #expect(fixture.kept(pattern, position: position) == Set(expected), "head \(head) position \(position)")
                }
            }
        }
        #expect(dropped > 0 || keys < 150, "there must have been something to choose")
    }

    /// A page's bound is never below a score, so that the page of a key that a row looks for above all is among the few that are kept;
    /// the page's mean does not show it.
    @Test func questFindsTheKeyThatOneRowLooksFor() throws {
        let plain = Fixture(queries: 1024, heads: 2)
        var keys = plain.oracle.key
        for t in 0..<16 { keys[77 * 16 + t] = plain.oracle.query[900 * 32 + t] * 5 }
        let fixture = Fixture(oracle: plain.oracle.with(keys: keys))
        var method = Quest()
        method.tokenBudget = 64 + 16
        #expect(try fixture.patterns(method)[0].keeps(key: 77, position: 900, shape: fixture.shape))
        #expect(try !plain.patterns(method)[0].keeps(key: 77, position: 900, shape: plain.shape))
    }

    /// Every row attends to its own block and to the two before it whose mean key it likes best, and to nothing else.
    @Test(arguments: shapes) func mobaAttendsToTheBlocksThatEachRowChooses(queries: Int, keys: Int) throws {
        let fixture = fixture(queries, keys)
        let first = keys - queries
        var method = MoBA()
        method.blockTokens = 96
        let (output, sums, pairs) = try fixture.attend(method)
        var counted = [Int](repeating: 0, count: 4)
        for head in 0..<4 {
            let means = (0..<keys / 96).map { block -> [Double] in
                let members = self.keys(fixture, head: head, block * 96..<(block + 1) * 96)
                return (0..<16).map { t in members.reduce(0.0) { $0 + $1[t] } / 96 }
            }
            for row in 0..<queries {
                let (position, own) = (first + row, (first + row) / 96)
                let gate = means.prefix(own).map { mean in zip(mean, query(fixture, head: head, row: row)).reduce(0) { $0 + $1.0 * $1.1 } }
                let best = Set(gate.indices.sorted { gate[$0] > gate[$1] }.prefix(2))
                counted[head] += position - own * 96 + 1 + best.count * 96
                guard row % 7 == 0 || row == queries - 1 else { continue }
                let expected = fixture.oracle.row(head: head, row: row) { $0 / 96 == own || best.contains($0 / 96) }
                #expect(abs(Double(sums[head * queries + row]) - expected.logSumExp) < 2e-4, "head \(head) row \(row)")
                for t in 0..<16 { #expect(abs(Double(output[(row * 4 + head) * 16 + t]) - expected.output[t]) < 2e-4) }
            }
        }
        #expect(pairs == counted)
    }

    @Test func mobaMeetsEveryRowOnceInAPass() throws {
        let fixture = Fixture(queries: 700, keys: 1900)
        let passes = fixture.withCall { MoBA().passes($0) }
        #expect(passes.count == 3)
        for groups in passes {
            for head in 0..<4 {
                let rows = groups.filter { $0.head == head }.flatMap(\.queries)
                #expect(rows.sorted() == (0..<700).map(Int32.init))
            }
        }
    }

    /// Key blocks at a density are those that SampleAttention chooses with some count, the same for all query blocks of a head.
    @Test func keyBlocksAtADensityAreSampleAttentionsOwn() throws {
        let fixture = Fixture(queries: 2000)
        var counts: Set<Int> = []
        for (head, pattern) in try fixture.patterns(DensityStripes(parameters: .keyBlocks(), density: try Fraction(0.25))).enumerated() {
            guard case .windowKeyBlocks(let kept) = pattern else { return #expect(Bool(false), "key blocks expected") }
            let count = kept.keyBlocks(queryBlock: kept.queryBlocks.upperBound - 1).count
            counts.insert(count)
            let own = SampleAttentionParameters.keyBlocks(count: count, window: kept.window)
            let selection = fixture.withCall { call in
                SampleAttentionOperator(kernel: call.kernel).select(
                    call.inputs, parameters: Array(repeating: own, count: 4), promptLength: 2000, workspace: AttentionWorkspace())[head]
            }
            #expect(
                pattern == SampleAttentionOperator.pattern(own, selection: selection, shape: fixture.shape, promptLength: 2000),
                "head \(head)")
            #expect(kept.sinks == 16 && kept.denseLastRows == 64 && kept.window < 256, "the window has half of the density")
        }
        #expect(counts.allSatisfy { $0 > 0 })
    }
}
