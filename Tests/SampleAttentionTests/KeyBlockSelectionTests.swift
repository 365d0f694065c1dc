import AttentionCore
import AttentionKernels
import AttentionTestSupport
import Parallelism
import SampleAttention
import Testing

/// Heads of whole numbers that eight bits hold exactly, so that the selection must be that of the definition, ties and all.
struct WholeNumberHeads {
    let oracle: NaiveAttention
    var shape: AttentionShape { oracle.shape }

    /// The first number of each row is 127, which makes its scale 1; few different others make many equal scores.
    init(queries: Int, cached: Int = 0, seed: UInt64 = 1, magnitude: Int = 3, dimension: Int = 12) {
        let shape = AttentionShape(
            queryHeads: 4, keyValueHeads: 2, queryCount: queries, keyCount: cached + queries, headDimension: dimension)
        var random = SeededGenerator(seed: seed)
        func rows(_ count: Int) -> [Float] {
            (0..<count * dimension).map { $0 % dimension == 0 ? 127 : Float(Int(random.next() % UInt64(2 * magnitude + 1)) - magnitude) }
        }
        let (query, key) = (rows(queries * 4), rows(shape.keyCount * 2))
        oracle = NaiveAttention(shape: shape, seed: 1).with(queries: query).with(keys: key)
    }

    init(_ oracle: NaiveAttention) { self.oracle = oracle }

    /// Some queries of the same heads, with the keys up to the last of them.
    func rows(_ range: Range<Int>) -> WholeNumberHeads {
        let keys = shape.firstPosition + range.upperBound
        let part = AttentionShape(queryHeads: 4, keyValueHeads: 2, queryCount: range.count, keyCount: keys, headDimension: 12)
        return WholeNumberHeads(
            NaiveAttention(shape: part, seed: 1)
                .with(queries: Array(oracle.query[range.lowerBound * 48..<range.upperBound * 48]))
                .with(keys: Array(oracle.key[..<(keys * 24)])))
    }

    /// What each head keeps.
    func select(
        _ parameters: [SampleAttentionParameters], promptLength: Int? = nil, threads: Int = 2
    ) throws -> [HeadSelection] {
        try oracle.withTensors { query, key, value in
            SampleAttentionOperator(kernel: try AttentionKernel(pool: WorkerPool(threads: threads))).select(
                .init(query: query, key: key, value: value), parameters: parameters, promptLength: promptLength ?? shape.keyCount,
                workspace: AttentionWorkspace())
        }
    }

    /// The key blocks of every head with the same parameters.
    func keyBlocks(
        _ parameters: SampleAttentionParameters, promptLength: Int? = nil, threads: Int = 2
    ) throws -> [KeyBlockSelection] {
        try select(Array(repeating: parameters, count: 4), promptLength: promptLength, threads: threads).map {
            guard case .keyBlocks(let blocks) = $0 else { throw InputError(.internalFailure, rule: "key blocks expected") }
            return blocks
        }
    }

    /// q · k of a row and a key in some coordinates, of whole numbers.
    private func score(head: Int, row: Int, key: Int, _ coordinates: [Int]) -> Int {
        let dimension = shape.headDimension
        let (q, k) = ((row * 4 + head) * dimension, (key * 2 + shape.keyValueHead(of: head)) * dimension)
        return coordinates.reduce(0) { $0 + Int(oracle.query[q + $1]) * Int(oracle.key[k + $1]) }
    }

    /// The coordinates that a head is scored in, from the definition; all rows count where they are few.
    func coordinates(_ parameters: SampleAttentionParameters, head: Int) -> [Int] {
        let (dimension, keyHead) = (shape.headDimension, shape.keyValueHead(of: head))
        func energy(_ t: Int) -> Int {
            let queries = (0..<shape.queryCount).map { Int(oracle.query[($0 * 4 + head) * dimension + t]) }
            let keys = (0..<shape.keyCount).map { Int(oracle.key[($0 * 2 + keyHead) * dimension + t]) }
            return queries.reduce(0) { $0 + $1 * $1 } * keys.reduce(0) { $0 + $1 * $1 }
        }
        let energies = (0..<dimension).map(energy)
        var count = Int((parameters.scoredDimensions.value * Double(dimension)).rounded(.up))
        while count % 4 != 0 { count += 1 }
        return (0..<dimension).sorted { (energies[$1], $0) < (energies[$0], $1) }.prefix(count).sorted()
    }

    /// The lists by query block, from the definition: every row that is not dense, every block before the window, every pair.
    func expected(_ parameters: SampleAttentionParameters, head: Int) -> [Int: [Int32]] {
        let (tokens, first) = (parameters.keyBlockTokens, shape.firstPosition)
        let coordinates = coordinates(parameters, head: head)
        let sparse = (first..<shape.keyCount).filter { $0 < shape.keyCount - parameters.denseLastRows }
        return Dictionary(grouping: sparse) { $0 / 64 }.mapValues { rows in
            let keys = max(0, rows.last! - parameters.window.positions(promptLength: shape.keyCount) + 1)
            let scored = Dictionary(grouping: 0..<keys) { $0 / tokens }.filter { ($0.key + 1) * tokens > parameters.sinks }
            let best = scored.mapValues { keys in
                let reached = rows.filter { $0 >= keys.last! }
                return reached.flatMap { row in keys.map { score(head: head, row: row - first, key: $0, coordinates) } }.max()!
            }
            return best.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(parameters.keyBlockCount).map { Int32($0.key) }.sorted()
        }
    }
}

@Suite struct KeyBlockSelectionTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var queries = 400
        var cached = 0
        var window = 70
        var sinks = 0
        var tokens = 32
        var count = 3
        var dense = 0
        var testDescription: String {
            "\(queries) queries after \(cached) keys, window \(window), \(sinks) sinks, \(count) of \(tokens), \(dense) dense"
        }

        var parameters: SampleAttentionParameters {
            var parameters = SampleAttentionParameters.keyBlocks(count: count, window: window, sinks: sinks)
            parameters.keyBlockTokens = tokens
            parameters.denseLastRows = dense
            return parameters
        }

        static let all = [
            Case(), Case(tokens: 16), Case(tokens: 64), Case(sinks: 31), Case(sinks: 32), Case(sinks: 100, tokens: 16, count: 5),
            Case(dense: 64), Case(dense: 100), Case(window: 1), Case(window: 5, tokens: 64), Case(window: 40, tokens: 16), Case(count: 1),
            Case(count: 100), Case(queries: 130, cached: 270), Case(queries: 1, cached: 300), Case(queries: 90, cached: 37, window: 3),
            Case(queries: 64, window: 20), Case(queries: 30, cached: 290, dense: 12), Case(sinks: 1000),
        ]
    }

    @Test(arguments: Case.all) func choosesWhatTheDefinitionSays(_ example: Case) throws {
        let heads = WholeNumberHeads(queries: example.queries, cached: example.cached)
        for (head, blocks) in try heads.keyBlocks(example.parameters).enumerated() {
            let expected = heads.expected(example.parameters, head: head)
            #expect(blocks.blockTokens == example.tokens)
            let lists = Dictionary(uniqueKeysWithValues: blocks.lists.enumerated().map { ($0 + blocks.firstQueryBlock, $1) })
            #expect(lists == expected)
        }
    }

    /// Other heads of the layer have other patterns, and heads with key blocks not the same ones.
    @Test func headsHaveTheirOwn() throws {
        let heads = WholeNumberHeads(queries: 400)
        let (few, many) = (Case(count: 2).parameters, Case(window: 30, tokens: 16, count: 9, dense: 10).parameters)
        let selections = try heads.select([.window(tokens: 9, sinks: 1), .dense, few, many])
        #expect(selections[0] == .window && selections[1] == .dense)
        #expect(try selections[2] == .keyBlocks(heads.keyBlocks(few)[2]) && selections[3] == .keyBlocks(heads.keyBlocks(many)[3]))
        #expect(selections.map(\.sampledMass) == [nil, 1, nil, nil])
    }

    @Test func equalScoresGoToTheLowerBlocks() throws {
        let heads = WholeNumberHeads(queries: 400, magnitude: 0)
        for blocks in try heads.keyBlocks(Case(sinks: 32).parameters) { #expect(blocks.lists.last == [1, 2, 3]) }
    }

    /// Broken keys are never chosen for their own sake, and a broken query has no say.
    @Test(arguments: [Float.nan, .infinity, -.infinity]) func whatIsNotFiniteIsPassedOver(_ number: Float) throws {
        var example = Case(count: 100)
        example.window = 64
        var oracle = WholeNumberHeads(queries: 400).oracle
        let whole = try WholeNumberHeads(oracle).keyBlocks(example.parameters)
        #expect(whole[0].lists.last == Array(0..<11), "336 keys lie before the last window")
        for key in 64..<96 { oracle = oracle.with(brokenKey: key, as: number) }
        oracle = oracle.with(brokenKey: 100, as: number)
        let broken = try WholeNumberHeads(oracle).keyBlocks(example.parameters)
        #expect(broken[0].lists.last == [0, 1] + Array(3..<11), "block 2 has no score, block 3 has others")
        #expect(broken[2].lists == whole[2].lists, "the other key-value head")
        let queries = (0..<400).reduce(oracle) { $0.with(brokenQuery: $1, head: 1, as: number) }
        #expect(try WholeNumberHeads(queries).keyBlocks(example.parameters)[1].lists.allSatisfy(\.isEmpty))
    }

    /// One broken query among others leaves what the others choose.
    @Test func aBrokenQueryHasNoSay() throws {
        let heads = WholeNumberHeads(queries: 400)
        let rest = heads.rows(321..<384)
        let broken = WholeNumberHeads(heads.oracle.with(brokenQuery: 320, head: 0)).rows(320..<384)
        let parameters = Case(window: 64).parameters
        #expect(try broken.keyBlocks(parameters)[0].lists == rest.keyBlocks(parameters)[0].lists)
    }

    @Test(arguments: [1, 63, 64, 65, 70]) func shortPromptsHaveNothingToChoose(_ length: Int) throws {
        let parameters = Case(window: 70).parameters
        for blocks in try WholeNumberHeads(queries: length).keyBlocks(parameters) { #expect(blocks.count == 0) }
        let dense = try WholeNumberHeads(queries: length + 100).keyBlocks(Case(dense: length + 100).parameters)
        #expect(dense.allSatisfy { $0.lists.isEmpty })
    }

    /// A prompt that comes in pieces of whole query blocks chooses as it does at once, its dense rows among them.
    @Test(arguments: [64, 128, 320]) func chunksChooseAsTheWhole(_ rows: Int) throws {
        let heads = WholeNumberHeads(queries: 500)
        let parameters = Case(window: 50, sinks: 40, dense: 90).parameters
        let whole = try heads.keyBlocks(parameters)
        var lists = [[[Int32]]](repeating: [], count: 4)
        for start in stride(from: 0, to: 500, by: rows) {
            let chunk = heads.rows(start..<min(start + rows, 500))
            for (head, blocks) in try chunk.keyBlocks(parameters, promptLength: 500).enumerated() {
                #expect(blocks.lists.isEmpty || blocks.firstQueryBlock == start / 64)
                lists[head] += blocks.lists
            }
        }
        #expect(lists == whole.map(\.lists) && whole[0].lists.count == 7)
    }

    @Test(arguments: [1, 3, 8]) func threadsDoNotMatter(_ threads: Int) throws {
        let heads = WholeNumberHeads(queries: 700, cached: 50)
        let parameters = Case(count: 6, dense: 30).parameters
        #expect(try heads.keyBlocks(parameters, threads: threads) == heads.keyBlocks(parameters, threads: 2))
    }

    @Test func becomesAPattern() throws {
        let heads = WholeNumberHeads(queries: 300)
        let parameters = Case(window: 65, sinks: 5, dense: 20).parameters
        let blocks = try heads.keyBlocks(parameters)[1]
        let pattern = SampleAttentionOperator.pattern(
            parameters, selection: .keyBlocks(blocks), shape: heads.shape, promptLength: heads.shape.keyCount + 8)
        #expect(
            pattern
                == .windowKeyBlocks(WindowKeyBlocks(window: 65, sinks: 5, blockTokens: 32, lists: blocks.lists, denseLastRows: 12)))
    }

    /// Counts up to 32 and sinks of the same whole blocks are one stage 1; what it scores or leaves out is not.
    @Test func stageOneIsSharedWhereItIsTheSame() throws {
        let one = Case().parameters
        var alike = [one, one, one]
        alike[0].keyBlockCount = 32
        alike[1].sinks = 31
        alike[2].alpha = .one
        for other in alike { #expect(other.stageOneRule == one.stageOneRule) }
        var others = [one, one, one, one, one, one]
        others[0].keyBlockCount = 33
        others[1].sinks = 32
        others[2].window = .tokens(71)
        others[3].keyBlockTokens = 16
        others[4].denseLastRows = 1
        others[5].scoredDimensions = try Fraction(0.5)
        for other in others { #expect(other.stageOneRule != one.stageOneRule) }
    }
}

@Suite struct HeaviestBlocksTests {
    private func heaviest(_ scores: [Float], _ capacity: Int) -> [Int32] {
        let room = AlignedBuffer<UInt64>(count: capacity)
        let output = AlignedBuffer<Int32>(count: capacity)
        var top = HeaviestBlocks(room: room.base, capacity: capacity)
        for (block, score) in scores.enumerated() { top.offer(score: score, block: block) }
        top.drain(into: output.base, filler: -1)
        return Array(output.elements)
    }

    @Test(arguments: UInt64(1)...8, [0, 1, 2, 7, 64, 300]) func areTheFirstOfAllSorted(seed: UInt64, capacity: Int) {
        var random = SeededGenerator(seed: seed)
        let odd: [Float] = [.nan, -.infinity, .infinity, 0, -0.0, .leastNonzeroMagnitude, -.leastNonzeroMagnitude]
        // Few different values, and none of odd ones in half of the runs.
        let scores = (0..<200).map { _ -> Float in
            let drawn = Int(random.next() % 40)
            return seed % 2 == 0 && drawn < odd.count ? odd[drawn] : Float(drawn - 20) / 3
        }
        let sorted = scores.indices.filter { scores[$0] > -.infinity }.sorted { (scores[$1], $0) < (scores[$0], $1) }.map(Int32.init)
        let expected = Array(sorted.prefix(capacity)) + Array(repeating: -1, count: max(0, capacity - sorted.count))
        #expect(heaviest(scores, capacity) == expected)
    }

    @Test func orderOfOffersDoesNotMatter() {
        let ascending = (0..<100).map(Float.init)
        #expect(heaviest(ascending, 3) == [99, 98, 97] && heaviest(ascending.reversed(), 3) == [0, 1, 2])
    }
}
