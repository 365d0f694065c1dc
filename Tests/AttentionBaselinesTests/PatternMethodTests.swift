import AttentionBaselines
import AttentionCore
import AttentionKernels
import AttentionTestSupport
import SampleAttention
import Testing

/// What defines each system whose choice is a pattern, each against a definition of its own here.
@Suite struct PatternMethodTests {
    @Test(arguments: [(700, 700), (300, 700)]) func streamingKeepsSinksAndWindowAndNothingElse(queries: Int, keys: Int) throws {
        let fixture = Fixture(queries: queries, keys: keys)
        let patterns = try fixture.patterns(StreamingLLM())
        // ⌈8 % of 700⌉ positions.
        for pattern in patterns {
            for position in keys - queries..<keys {
                #expect(fixture.kept(pattern, position: position) == Set((0...position).filter { $0 < 4 || $0 > position - 56 }))
            }
        }
    }

    @Test func bigBirdKeepsWindowGlobalsAndItsRandomBlocks() throws {
        let fixture = Fixture(queries: 1400)
        let patterns = try fixture.patterns(BigBird(seed: 3))
        #expect(try patterns == fixture.patterns(BigBird(seed: 3)))
        var drawn: [Set<Int>] = []
        for pattern in patterns {
            for position in Swift.stride(from: 0, to: 1400, by: 37) {
                let kept = fixture.kept(pattern, position: position)
                let block = position / 128
                // ⌈8 % of 1,400⌉ = 112 positions of window and of globals.
                let fixed = Set((0...position).filter { $0 > position - 112 || $0 < 112 || $0 / 128 == block })
                #expect(kept.isSuperset(of: fixed))
                let blocks = Set(kept.subtracting(fixed).map { $0 / 128 })
                // A random block may be one that window or globals hold anyway.
                #expect(blocks.count <= 3 && kept.isSuperset(of: blocks.flatMap { $0 * 128..<($0 + 1) * 128 }))
                if block == 10 { drawn.append(blocks) }
            }
        }
        #expect(drawn.contains { $0.count == 3 }, "three random blocks a query block")
        #expect(Set(drawn).count > 2, "each head draws its own")
        #expect(try patterns != fixture.patterns(BigBird(seed: 4)))
        #expect(try patterns != fixture.patterns(BigBird(seed: 3), layer: 1))
    }

    @Test func verticalSlashTakesTheHeaviestLinesOfTheLastQueries() throws {
        let fixture = Fixture(queries: 900)
        var method = VerticalSlash()
        (method.verticals, method.slashTokens, method.localTokens) = (60, 256, 10)
        for (head, pattern) in try fixture.patterns(method).enumerated() {
            let mass = fixture.columnMass(head: head, rows: 836..<900)
            let heaviest = (30..<900).sorted { mass[$0] > mass[$1] }.prefix(30)
            var slashMass = [Double](repeating: 0, count: 8)
            for row in 836..<900 {
                for (key, probability) in fixture.oracle.probabilities(head: head, row: row).enumerated() {
                    slashMass[row / 128 - key / 128] += probability
                }
            }
            let slashes = Set([0] + (1..<8).sorted { slashMass[$0] > slashMass[$1] }.prefix(1))
            for position in Swift.stride(from: 5, to: 900, by: 53) {
                let expected = (0...position).filter {
                    $0 < 30 || $0 > position - 10 || heaviest.contains($0) || slashes.contains(position / 128 - $0 / 128)
                }
                #expect(fixture.kept(pattern, position: position) == Set(expected), "head \(head) position \(position)")
            }
        }
    }

    /// A single key that the last queries look for is lost in its block's mean, so the heads are vertical-slash; where tokens are alike
    /// within a block, means say it all.
    @Test func flexPrefillTrustsMeansWhereTheyAgree() throws {
        let plain = Fixture(queries: 1024, heads: 2).oracle
        let queries = plain.query.enumerated().map { $0 / 32 >= 896 ? $1 + 1 : $1 }
        let keys = plain.key.enumerated().map { $0 / 16 == 300 ? 2 : $1 }
        let random = Fixture(oracle: plain.with(keys: keys).with(queries: queries))
        var method = FlexPrefill()
        method.leastTokens = 128
        for (head, pattern) in try random.patterns(method).enumerated() {
            guard case .columnsSlashes(let lines) = pattern else { return #expect(Bool(false), "vertical-slash expected") }
            let mass = random.columnMass(head: head, rows: 896..<1024)
            let blocks = (0..<8).map { block in mass[block * 128..<(block + 1) * 128].reduce(0, +) }
            #expect(fewest(blocks, share: 0.95, keeping: [0]) == Set(lines.columns.map(Int.init)))
            #expect(lines.columns.contains(2))
        }
        // Nearly flat attention, so that a row's own block, of which it sees a half, weighs little.
        let constant = Fixture(queries: 2048, heads: 2).oracle.withConstantBlocks()
        let flat = Fixture(oracle: constant.with(queries: constant.query.map { $0 * 0.3 }))
        for pattern in try flat.patterns(method) {
            guard case .blocks(let mask) = pattern else { return #expect(Bool(false), "query-aware expected") }
            #expect((0..<16).allSatisfy { mask.keeps(queryBlock: $0, keyBlock: 0) && mask.keeps(queryBlock: $0, keyBlock: $0) })
            let kept = (0..<16).reduce(0) { sum, row in sum + (0...row).count { mask.keeps(queryBlock: row, keyBlock: $0) } }
            #expect(kept < 136 && kept > 68, "the fewest that reach γ are most, but not all")
        }
    }

    @Test func divergenceIsZeroForEqualAndLogTwoForDisjoint() {
        #expect(jensenShannonDivergence([0.25, 0.75], [0.25, 0.75]) == 0)
        #expect(abs(jensenShannonDivergence([1, 0], [0, 1]) - 0.6931471805599453) < 1e-15)
        // ½ Σ p log(p/m) + ½ Σ q log(q/m) with p = (½, ½), q = (¼, ¾).
        #expect(abs(jensenShannonDivergence([0.5, 0.5], [0.25, 0.75]) - 0.0338220756) < 1e-9)
    }

    /// The estimate by definition: sums of scores on the antidiagonals of 8 × 8 squares, softmax over groups, added up by blocks.
    @Test(arguments: [(1024, 1024), (389, 389), (200, 900)]) func xAttentionRanksBlocksByAntidiagonals(queries: Int, keys: Int) throws {
        let plain = Fixture(queries: queries, keys: keys, heads: 2).oracle
        // Far from flat, so that which scores are added up decides.
        let fixture = Fixture(oracle: plain.with(queries: plain.query.map { $0 * 3 }))
        let first = keys - queries
        let d = 16
        let oracle = fixture.oracle
        for (head, pattern) in try fixture.patterns(XAttention()).enumerated() {
            func score(_ queryPosition: Int, _ key: Int) -> Double {
                guard (first..<keys).contains(queryPosition), key < keys else { return 0 }
                let q = ((queryPosition - first) * 2 + head) * d
                let k = key * d
                return (0..<d).reduce(0.0) { $0 + Double(oracle.query[q + $1] * oracle.key[k + $1]) } / 4
            }
            for block in first / 128..<(keys + 127) / 128 {
                var shares = [Double](repeating: 0, count: block + 1)
                for group in max(first, block * 128) / 8..<(min(keys, block * 128 + 128) + 7) / 8 {
                    let scores = (0...group).map { other in
                        (0..<8).reduce(0.0) { $0 + score(group * 8 + 7 - $1, other * 8 + $1) } / 8
                    }
                    let powers = scores.map { exponential($0 - scores.max()!) }
                    for (other, power) in powers.enumerated() { shares[other / 16] += power / powers.reduce(0, +) }
                }
                let expected = fewest(shares, share: 0.9, keeping: [0, block])
                let own = max(first, block * 128)
                let kept = Set((0...block).filter { pattern.keeps(key: $0 * 128, position: max(own, $0 * 128), shape: fixture.shape) })
                #expect(kept == expected, "head \(head) block \(block): \(shares)")
            }
        }
    }

    /// The fewest by descending share, those kept in any case first.
    private func fewest(_ shares: [Double], share: Double, keeping first: Set<Int>) -> Set<Int> {
        var kept = first
        let total = shares.reduce(0, +)
        for index in shares.indices.sorted(by: { shares[$0] > shares[$1] }) where !first.contains(index) {
            if kept.reduce(0, { $0 + shares[$1] }) >= share * total { break }
            kept.insert(index)
        }
        return kept
    }
}
