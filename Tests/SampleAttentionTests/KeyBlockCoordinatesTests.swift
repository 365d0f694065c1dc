import AttentionCore
import AttentionTestSupport
import Parallelism
import SampleAttention
import Testing

/// Key blocks whose scores are made of some of a head's coordinates.
@Suite struct KeyBlockCoordinatesTests {
    private func parameters(_ share: Double) throws -> SampleAttentionParameters {
        var parameters = SampleAttentionParameters.keyBlocks(count: 3, window: 70, sinks: 0)
        parameters.scoredDimensions = try Fraction(share)
        parameters.denseLastRows = 10
        return parameters
    }

    private func lists(_ blocks: KeyBlockSelection) -> [Int: [Int32]] {
        Dictionary(uniqueKeysWithValues: blocks.lists.enumerated().map { ($0 + blocks.firstQueryBlock, $1) })
    }

    @Test(arguments: [12, 20, 64], [0.5, 0.25, 0.01]) func choosesWhatTheDefinitionSays(dimension: Int, share: Double) throws {
        let heads = WholeNumberHeads(queries: 330, cached: 70, dimension: dimension)
        let (some, all) = (try parameters(share), try parameters(1))
        let selections = try heads.keyBlocks(some)
        for (head, blocks) in selections.enumerated() { #expect(lists(blocks) == heads.expected(some, head: head)) }
        #expect(try selections != heads.keyBlocks(all), "what is left out has a say")
        #expect(heads.coordinates(some, head: 0) != heads.coordinates(some, head: 1) || share == 0.01 && dimension == 12)
    }

    /// Heads of one key-value head, in coordinates of their own and as many as they ask for.
    @Test func headsHaveTheirOwn() throws {
        let heads = WholeNumberHeads(queries: 400, dimension: 20)
        let all = try [0.5, 1, 0.25, 0.5].map(parameters)
        for (head, selection) in try heads.select(all).enumerated() {
            guard case .keyBlocks(let blocks) = selection else { return #expect(Bool(false), "\(selection)") }
            #expect(lists(blocks) == heads.expected(all[head], head: head), "head \(head)")
        }
    }

    /// Heads with the same queries have the same coordinates, and share their keys.
    @Test func headsThatAreAlikeChooseAlike() throws {
        let heads = WholeNumberHeads(queries: 400)
        var query = heads.oracle.query
        for row in 0..<400 { for t in 0..<12 { query[(row * 4 + 1) * 12 + t] = query[row * 4 * 12 + t] } }
        let alike = WholeNumberHeads(heads.oracle.with(queries: query))
        let some = try parameters(0.5)
        let blocks = try alike.keyBlocks(some)
        #expect(blocks[0] == blocks[1] && lists(blocks[1]) == alike.expected(some, head: 1))
    }

    /// Shares that round up to all coordinates are all.
    @Test func aShareOfAllIsAll() throws {
        let heads = WholeNumberHeads(queries: 400)
        let whole = try heads.keyBlocks(parameters(1))
        #expect(try heads.keyBlocks(parameters(0.7)) == whole && heads.keyBlocks(parameters(0.6)) != whole)
        for (share, dimension, count) in [(1, 7, 7), (0.9, 7, 7), (0.5, 7, 4), (0.5, 64, 32), (0.51, 64, 36), (0.01, 3, 3), (0.01, 64, 4)] {
            #expect(try parameters(share).scoredCoordinates(of: dimension) == count)
        }
    }

    @Test(arguments: [1, 3, 8]) func threadsDoNotMatter(_ threads: Int) throws {
        let heads = WholeNumberHeads(queries: 700, cached: 50, dimension: 20)
        let some = try parameters(0.5)
        #expect(try heads.keyBlocks(some, threads: threads) == heads.keyBlocks(some, threads: 2))
    }

    @Test func tiesGoToTheLowerAndWhatIsNotFiniteComesLast() {
        #expect(ScoredCoordinates.largest(3, of: [1, 2, 2, 3, 2]) == [1, 2, 3])
        #expect(ScoredCoordinates.largest(2, of: [.nan, 0, .infinity, 0]) == [1, 3])
        #expect(ScoredCoordinates.largest(4, of: [.infinity, 0, 1, .nan, .nan]) == [0, 1, 2, 3])
    }

    /// The coordinates of one query head and its keys, [token][d].
    private func chosen(_ count: Int, query: [Float], key: [Float], dimension: Int) -> [Int]? {
        query.withUnsafeBufferPointer { q in
            key.withUnsafeBufferPointer { k in
                func tensor(_ rows: UnsafeBufferPointer<Float>) -> HeadTensor {
                    HeadTensor(projection: rows.baseAddress!, heads: 1, tokens: rows.count / dimension, dimension: dimension)
                }
                return ScoredCoordinates(LayerInputs(query: tensor(q), key: tensor(k), value: tensor(k)), pool: WorkerPool(threads: 2))
                    .chosen([(head: 0, count: count)])[0]
            }
        }
    }

    /// What counts is the product of both sides' energies.
    @Test func bothSidesCount() {
        let query: [Float] = [9, 1, 3, 0, 2, 1, 3, 0], key: [Float] = [0, 1, 2, 9, 1, -8, 2, 9]
        #expect(chosen(2, query: query, key: key, dimension: 4) == [1, 2])
        #expect(chosen(3, query: query, key: key, dimension: 4) == [0, 1, 2] && chosen(4, query: query, key: key, dimension: 4) == nil)
    }

    /// A coordinate with a number that is not finite is left out.
    @Test(arguments: [Float.nan, .infinity, -.infinity]) func brokenCoordinatesAreLeftOut(_ number: Float) {
        var query = [Float](repeating: 1, count: 40)
        let key = query
        #expect(chosen(4, query: query, key: key, dimension: 8) == [0, 1, 2, 3])
        query[17] = number
        #expect(chosen(4, query: query, key: key, dimension: 8) == [0, 2, 3, 4])
    }

    /// Of long prompts 2,048 rows are looked at, as far apart as can be.
    @Test func rowsAtEqualStridesCount() {
        let tokens = 5000, seen = Set((0..<2048).map { $0 * tokens / 2048 })
        let ones = [Float](repeating: 1, count: tokens * 8)
        var rows = ones
        for token in 0..<tokens { rows[token * 8 + (seen.contains(token) ? 5 : 7)] = 100 }
        for (query, key) in [(rows, ones), (ones, rows)] { #expect(chosen(1, query: query, key: key, dimension: 8) == [5]) }
    }
}
