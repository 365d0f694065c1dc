import AttentionBaselines
import AttentionCore
import AttentionKernels
import AttentionTestSupport
import SampleAttention
import Testing

@Suite struct BudgetTests {
    /// Every system keeps what it is told: patterns not more, and little less; hashing roughly.
    @Test(arguments: AttentionSystem.allCases, [0.1, 0.3]) func systemsKeepTheDensityAskedFor(system: AttentionSystem, share: Double) throws
    {
        let fixture = Fixture(queries: 8000, heads: 2)
        let method = system.method(budget: .density(try Fraction(share)), seed: 1)
        let (output, sums, pairs) = try fixture.attend(method)
        #expect(output.allSatisfy(\.isFinite) && sums.allSatisfy(\.isFinite))
        for kept in pairs {
            let density = Double(kept) / Double(fixture.shape.causalPairs)
            switch system {
            case .hashSparse: #expect(density > 0.5 * share && density < 2 * share, "\(system): \(density)")
            case .hyperAttention: #expect(density > 0.85 * share && density < 1.1 * share, "\(system): \(density)")
            // Whole blocks, or diagonals of blocks, come at once.
            default: #expect(density > 0.75 * share && density <= share, "\(system): \(density)")
            }
        }
    }

    @Test(arguments: [SampleAttentionParameters.standard, .paper, .paperV3, .keyBlocks()])
    func sampleAttentionKeepsTheDensityAskedFor(parameters: SampleAttentionParameters) throws {
        let fixture = Fixture(queries: 3000, heads: 2)
        for pattern in try fixture.patterns(DensityStripes(parameters: parameters, density: try Fraction(0.2))) {
            let density = pattern.density(fixture.shape)
            #expect(density > 0.15 && density <= 0.2)
        }
    }

    /// A prompt in pieces: every system answers for queries that are the last of more keys.
    @Test(arguments: AttentionSystem.allCases) func systemsTakeChunks(system: AttentionSystem) throws {
        let fixture = Fixture(queries: 300, keys: 5000, heads: 2)
        let (output, sums, pairs) = try fixture.attend(system.method(seed: 1))
        #expect(output.allSatisfy(\.isFinite) && sums.allSatisfy(\.isFinite))
        // MInference's own settings keep everything of a prompt this short, and random heads leave FlexPrefill nothing to drop.
        let most = fixture.shape.causalPairs - ([.verticalSlash, .flexPrefill].contains(system) ? 0 : 1)
        #expect(pairs.allSatisfy { $0 > 0 && $0 <= most })
        // The sums of what is kept are no more than the sums of everything.
        for row in Swift.stride(from: 0, to: 300, by: 50) {
            let all = fixture.oracle.row(head: 0, row: row) { _ in true }.logSumExp
            #expect(Double(sums[row]) <= all + 1e-4)
        }
    }
}

@Suite struct SelectionVariantTests {
    /// With all axes kept, low-rank scores are the scores.
    @Test func fullRankSelectsAsSampledRowsDo() throws {
        let fixture = Fixture(queries: 900)
        let own = fixture.withCall { call in
            SampleAttentionOperator(kernel: call.kernel).select(
                call.inputs, parameters: Array(repeating: .standard, count: 4), promptLength: 900, workspace: AttentionWorkspace())
        }
        for (head, pattern) in try fixture.patterns(ImportanceStripes(.lowRank(16))).enumerated() {
            guard case .stripes(let stripes) = own[head], case .windowColumns(let columns) = pattern else { return #expect(Bool(false)) }
            let common = Set(stripes.columns).intersection(columns.columns).count
            #expect(Double(common) > 0.99 * Double(max(stripes.columns.count, columns.columns.count)))
        }
        let low = try fixture.patterns(ImportanceStripes(.lowRank(2)))
        #expect(try low != fixture.patterns(ImportanceStripes(.lowRank(16))))
    }

    @Test func keyNormsKeepTheSmallestKeys() throws {
        let fixture = Fixture(queries: 500, heads: 2)
        guard case .windowColumns(let pattern) = try fixture.patterns(ImportanceStripes(.keyNorms))[1] else { return #expect(Bool(false)) }
        let norms = (0..<500).map { token -> Double in
            fixture.oracle.key[token * 16..<(token + 1) * 16].reduce(0.0) { $0 + Double($1 * $1) }
        }
        let smallest = Set((0..<500).sorted { norms[$0] < norms[$1] }.prefix(40))
        #expect(Set(pattern.columns.map(Int.init)) == smallest)
    }

    /// A key that all queries of a block like is found by their mean.
    @Test func pooledQueriesFindWhatABlockLooksAt() throws {
        let plain = Fixture(queries: 1024, heads: 2)
        var (queries, keys) = (plain.oracle.query, plain.oracle.key)
        for token in 640..<768 { for t in 0..<16 { queries[token * 32 + t] += 2 } }
        for t in 0..<16 { keys[77 * 16 + t] = 3 }
        let fixture = Fixture(oracle: plain.oracle.with(keys: keys).with(queries: queries))
        guard case .windowColumns(let pattern) = try fixture.patterns(ImportanceStripes(.pooledQueries))[0] else {
            return #expect(Bool(false))
        }
        #expect(pattern.columns.contains(77))
    }

    @Test func groupsShareTheirColumnsAndLayersTheirPatterns() throws {
        let (first, second) = (Fixture(queries: 800), Fixture(queries: 800, seed: 8))
        let grouped = try first.patterns(SharedSelection(.group))
        #expect(grouped[0] == grouped[1] && grouped[2] == grouped[3] && grouped[0] != grouped[2])

        let layered = SharedSelection(.layers(2))
        let anchor = try first.patterns(layered, layer: 0)
        #expect(try second.patterns(layered, layer: 1) == anchor)
        let next = try second.patterns(layered, layer: 2)
        #expect(next != anchor)
        #expect(try next == second.patterns(SharedSelection(.layers(2)), layer: 0))
        // Prefills that take turns give what each gives alone.
        let (one, other) = (layered.begunPrefill(), layered.begunPrefill())
        let (ofOne, ofOther) = (try first.patterns(one, layer: 0), try second.patterns(other, layer: 0))
        #expect(ofOne != ofOther)
        #expect(try first.patterns(one, layer: 1) == ofOne && second.patterns(other, layer: 1) == ofOther)
        // Another shape is no layer of the same prompt.
        #expect(try Fixture(queries: 500).patterns(layered, layer: 3) != next)
    }
}
