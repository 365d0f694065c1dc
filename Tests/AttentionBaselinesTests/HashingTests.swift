import AttentionBaselines
import AttentionCore
import AttentionKernels
import AttentionTestSupport
import SampleAttention
import Testing

@Suite struct HashingTests {
    /// Keys that point where queries point share their bucket whatever their length; those that point the other way never do.
    @Test func hashSparseBucketsByDirection() throws {
        let plain = Fixture(queries: 400, heads: 2)
        let oracle = plain.oracle
        let d = 16
        var keys = [Float](repeating: 0, count: 400 * d)
        // Head 0's queries, stretched; every third turned round.
        for token in 0..<400 {
            let factor: Float = token.isMultiple(of: 3) ? -2 : 0.5 + Float(token % 5)
            for t in 0..<d { keys[token * d + t] = oracle.query[token * 2 * d + t] * factor }
        }
        let fixture = Fixture(oracle: oracle.with(keys: keys))
        let groups = fixture.withCall { HashSparse(seed: 5).groups($0, head: 0) }
        #expect(groups.count > 8 && groups.count <= 16)
        #expect(groups.flatMap(\.queries).sorted() == (0..<400).map(\.self), "every query is in one bucket")
        for token in Int32(0)..<400 {
            let own = groups.first { $0.queries.contains(token) }!
            #expect(own.keys.contains(token) == !token.isMultiple(of: 3), "token \(token)")
        }
        #expect(groups.allSatisfy { $0.rule == .upToOwnPosition })
        #expect(groups != fixture.withCall { HashSparse(seed: 6).groups($0, head: 0) })
    }

    /// The operator's output is softmax over each query's bucket and itself, and its pairs are what it computed.
    @Test(arguments: [(300, 300), (130, 300)]) func hashSparseAttendsWithinBuckets(queries: Int, keys: Int) throws {
        let fixture = Fixture(queries: queries, keys: keys)
        let method = HashSparse(seed: 5)
        let (output, sums, pairs) = try fixture.attend(method)
        let shape = fixture.shape
        for head in 0..<4 {
            let groups = fixture.withCall { method.groups($0, head: head) }
            var counted = 0
            for row in 0..<queries {
                let bucket = Set(groups.first { $0.queries.contains(Int32(row)) }!.keys.map(Int.init))
                let position = shape.firstPosition + row
                let expected = fixture.oracle.row(head: head, row: row) { $0 == position || bucket.contains($0) }
                counted += 1 + bucket.count { $0 < position }
                #expect(abs(Double(sums[head * queries + row]) - expected.logSumExp) < 1e-4)
                for t in 0..<16 { #expect(abs(Double(output[(row * 4 + head) * 16 + t]) - expected.output[t]) < 1e-4) }
            }
            #expect(pairs[head] == counted)
        }
    }

    @Test(arguments: [(1, 0), (900, 0), (1025, 0), (777, 300), (4096, 4000)])
    func hyperAttentionDividesEveryPairOnce(length: Int, firstQuery: Int) {
        var method = HyperAttention(seed: 1)
        method.leastLength = 100
        var (leaves, levels): ([Range<Int>], [[HyperAttention.Split]]) = ([], [])
        method.divide(0..<length, firstQuery: firstQuery, depth: 0, leaves: &leaves, levels: &levels)
        #expect(leaves.allSatisfy { $0.count <= 100 })
        var random = SeededGenerator(seed: 2)
        for _ in 0..<3000 {
            let position = Int.random(in: firstQuery..<length, using: &random)
            let key = Int.random(in: 0...position, using: &random)
            let found =
                leaves.count { $0.contains(position) && $0.contains(key) }
                + levels.joined().count { $0.queries.contains(position) && $0.keys.contains(key) }
            #expect(found == 1, "\(position), \(key)")
        }
        for level in levels {
            let rows = level.flatMap { Array($0.queries) }
            #expect(Set(rows).count == rows.count, "groups of one pass have no row in common")
        }
    }

    @Test func hyperAttentionIsExactUpToItsLeastLength() throws {
        let fixture = Fixture(queries: 500)
        let (output, sums, pairs) = try fixture.attend(HyperAttention(seed: 1))
        #expect(pairs == Array(repeating: fixture.shape.causalPairs, count: 4))
        for row in Swift.stride(from: 0, to: 500, by: 61) {
            let expected = fixture.oracle.row(head: 2, row: row) { _ in true }
            #expect(abs(Double(sums[2 * 500 + row]) - expected.logSumExp) < 1e-4)
            for t in 0..<16 { #expect(abs(Double(output[(row * 4 + 2) * 16 + t]) - expected.output[t]) < 1e-4) }
        }
    }

    /// A far key that points where a query points falls into its block, so that the pair is computed; one sample is no estimate of
    /// it. Small blocks, no samples to speak of.
    @Test func hyperAttentionFindsTheHeavyPair() throws {
        let plain = Fixture(queries: 1024, heads: 2)
        var keys = plain.oracle.key
        for t in 0..<16 { keys[100 * 16 + t] = plain.oracle.query[900 * 32 + t] * 4 }
        let fixture = Fixture(oracle: plain.oracle.with(keys: keys))
        var method = HyperAttention(seed: 1)
        (method.leastLength, method.blockSize, method.samples) = (128, 64, 1)
        var found = 0
        for seed in 0..<20 {
            method.seed = UInt64(seed)
            let groups = fixture.withCall { call in
                method.groups(call, HyperAttention.Split(keys: 0..<512, queries: 512..<1024), head: 0)
            }
            if groups.blocks.contains(where: { $0.queries.contains(900) && $0.keys.contains(100) }) { found += 1 }
        }
        // One block in eight by chance; the borders of blocks part some neighbours.
        #expect(found >= 12, "\(found) of 20")
    }

    /// What a row meets stands for all keys left of the diagonal: block and weighted samples add up to their number.
    @Test func hyperAttentionsSamplesStandForTheRest() throws {
        let fixture = Fixture(queries: 2048, heads: 2)
        var method = HyperAttention(seed: 1)
        (method.blockSize, method.samples) = (64, 128)
        var sums: [Double] = []
        for seed in 0..<10 {
            method.seed = UInt64(seed)
            let (blocks, samples) = fixture.withCall { method.groups($0, .init(keys: 0..<1024, queries: 1024..<2048), head: 1) }
            #expect(blocks.flatMap(\.queries).sorted() == (1024..<2048).map(\.self))
            #expect(blocks.allSatisfy { abs($0.keys.count - 64) <= 1 && abs($0.queries.count - 64) <= 1 })
            for (block, sample) in zip(blocks, samples) {
                #expect(block.queries == sample.queries && Set(block.keys).isDisjoint(with: sample.keys))
                sums.append(Double(block.keys.count) + Double(sample.keys.count) * exponential(Double(sample.logWeight)))
            }
        }
        let mean = sums.reduce(0, +) / Double(sums.count)
        #expect(abs(mean - 1024) < 20)
    }

    /// Nothing a row puts out depends on what comes after it.
    @Test func hashingIsCausal() throws {
        let fixture = Fixture(queries: 600)
        var hyper = HyperAttention(seed: 1)
        (hyper.leastLength, hyper.blockSize, hyper.samples) = (100, 32, 32)
        var value = fixture.oracle.value
        for index in 450 * 32..<value.count { value[index] += 100 }
        let changed = Fixture(oracle: fixture.oracle.with(values: value))
        for method in [hyper, HashSparse(seed: 1)] as [any AttentionMethod] {
            let (before, after) = (try fixture.attend(method).output, try changed.attend(method).output)
            #expect(before[..<(450 * 64)] == after[..<(450 * 64)])
            #expect(before[(450 * 64)...] != after[(450 * 64)...])
        }
    }
}
