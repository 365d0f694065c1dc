import AttentionCore
import AttentionTestSupport
import Testing

@Suite struct SparsePatternTests {
    @Test(arguments: PatternCase.all) func keepsIsTheDefinition(_ test: PatternCase) {
        #expect(test.disagreements { test.pattern.keeps(key: $0, position: $1, shape: test.shape) } == 0)
    }

    @Test(arguments: PatternCase.all) func laterKeysAreNeverKept(_ test: PatternCase) {
        let keyCount = test.shape.keyCount
        for position in test.shape.firstPosition..<keyCount - 1 {
            let later = [position + 1, position + 7, keyCount - 1].filter { $0 < keyCount }
            #expect(!later.contains { test.pattern.keeps(key: $0, position: position, shape: test.shape) })
        }
    }

    @Test(arguments: PatternCase.all) func keptPairsCountsWhatKeepsAccepts(_ test: PatternCase) {
        let (pattern, shape) = (test.pattern, test.shape)
        let counted = test.count { pattern.keeps(key: $0, position: $1, shape: shape) }
        #expect(pattern.keptPairs(shape) == counted)
        #expect(pattern.parts.keptPairs(shape) == counted)
        #expect(pattern.density(shape) <= 1)
    }

    @Test(arguments: PatternCase.all) func partsRebuildThePattern(_ test: PatternCase) {
        let parts = test.pattern.parts
        let columns = Set(parts.columns)
        let firstDense = test.shape.keyCount - parts.denseLastRows
        #expect(
            test.disagreements { key, position in
                parts.isDense || position - key < parts.window || columns.contains(Int32(key)) || position >= firstDense
                    || parts.keepsBlock(query: position / 128, key: key / 128)
                    || parts.chosenKeys(queryBlock: position / 64).contains(key)
            } == 0)
        #expect(parts.columns == columns.sorted())
    }

    @Test(arguments: PatternCase.all) func keyBlocksListWhatKeepsBlockAccepts(_ test: PatternCase) {
        let parts = test.pattern.parts
        for queryBlock in 0..<BlockMask.blockCount(tokens: test.shape.keyCount) {
            let listed = parts.keyBlocks(queryBlock: queryBlock)
            #expect(listed == (0...Int32(queryBlock)).filter { parts.keepsBlock(query: queryBlock, key: Int($0)) })
            #expect(listed.last == (parts.hasBlocks ? Int32(queryBlock) : nil))
            #expect(!parts.keepsBlock(query: queryBlock, key: queryBlock + 1))
        }
    }

    @Test func masksHoldRowsOfManyWords() {
        func keeps(_ queryBlock: Int, _ keyBlock: Int) -> Bool { (queryBlock * 7 + keyBlock * 13) % 5 == 0 }
        let mask = BlockMask(blocks: 200, keeps: keeps)
        let lines = ColumnsSlashes(columns: [3, 63, 64, 150], slashes: [1, 127, 128])
        let parts = SparsePattern.union([.blocks(mask), .columnsSlashes(lines)]).parts
        for queryBlock in 0..<200 {
            let kept = (0...queryBlock).filter { $0 == queryBlock || keeps(queryBlock, $0) }
            #expect((0...queryBlock).filter { mask.keeps(queryBlock: queryBlock, keyBlock: $0) } == kept)
            let onLines = (0...queryBlock).filter { [3, 63, 64, 150].contains($0) || [1, 127, 128].contains(queryBlock - $0) }
            #expect(parts.keyBlocks(queryBlock: queryBlock) == Set(kept + onLines).sorted().map(Int32.init))
        }
    }

    /// Two lengths of blocks come to one list of units; what 128-token blocks keep, or sinks altogether, is not in it.
    @Test func chosenKeysAreOneListOfUnits() {
        let short = WindowKeyBlocks(window: 5, sinks: 20, blockTokens: 16, firstQueryBlock: 2, lists: [[0, 1, 9], [30]])
        let long = WindowKeyBlocks(window: 9, sinks: 0, blockTokens: 64, lists: [[], [1], [0, 2, 3]])
        let parts = SparsePattern.union([.windowKeyBlocks(short), .windowKeyBlocks(long)]).parts
        // Of query block 2, whose rows end at key 192, block 3 of 64 keys is the future; unit 0 is sinks in one list only.
        #expect(parts.chosenKeys(queryBlock: 2).units == [0, 1, 2, 3, 8, 9, 10, 11])
        #expect(parts.chosenKeys(queryBlock: 1).units == [4, 5, 6, 7])
        // Unit 30 begins at key 480, after query block 3.
        #expect([0, 3, 9].allSatisfy { parts.chosenKeys(queryBlock: $0).isEmpty })
        #expect(SparsePattern.windowKeyBlocks(short).parts.chosenKeys(queryBlock: 2).units == [1, 9])
        let beside = SparsePattern.union([.windowKeyBlocks(long), .blocks(BlockMask(blocks: 4) { _, key in key == 0 })]).parts
        #expect(beside.hasChosenBlocks && beside.chosenKeys(queryBlock: 2).isEmpty)
        #expect(
            !SparsePattern.windowKeyBlocks(WindowKeyBlocks(window: 1, sinks: 3, blockTokens: 16, lists: [[], []])).parts.hasChosenBlocks)
    }

    @Test func chosenKeysCountAndNameTheirPlaces() {
        let list: [Int32] = [1, 2, 5]
        let keys = SparsePattern.windowKeyBlocks(WindowKeyBlocks(window: 1, sinks: 0, blockTokens: 16, firstQueryBlock: 9, lists: [list]))
            .parts.chosenKeys(queryBlock: 9)
        let all = list.flatMap { Int($0) * 16..<Int($0) * 16 + 16 }
        #expect((0..<keys.count).map(keys.key) == all && keys.ranges.flatMap { Array($0) } == all)
        for key in -3..<100 {
            #expect(keys.count(below: key) == all.count { $0 < key })
            if key >= 0 { #expect(keys.contains(key) == all.contains(key)) }
        }
    }

    @Test func blocksStandAtAbsolutePositions() {
        let shape = AttentionShape(queryHeads: 1, keyValueHeads: 1, queryCount: 2, keyCount: 257, headDimension: 4)
        let pattern = SparsePattern.columnsSlashes(ColumnsSlashes(columns: [], slashes: []))
        // Position 255 is the last of block 1, position 256 the first of block 2.
        #expect(pattern.keptPairs(shape) == 128 + 1)
    }

    @Test func denseKeepsAllCausalPairs() {
        let shape = AttentionShape(queryHeads: 2, keyValueHeads: 1, queryCount: 3, keyCount: 10, headDimension: 4)
        #expect(shape.causalPairs == 8 + 9 + 10)
        #expect(SparsePattern.dense.density(shape) == 1)
    }

    @Test func validateNamesTheHeadAndTheList() throws {
        let shape = AttentionShape(queryHeads: 1, keyValueHeads: 1, queryCount: 4, keyCount: 257, headDimension: 4)
        let good: [SparsePattern] = [
            .dense, .windowColumns(WindowColumns(window: 1, columns: [256])),
            .columnsSlashes(ColumnsSlashes(columns: [2], slashes: [0, 9])), .blocks(BlockMask(blocks: 3) { _, _ in false }),
            .windowKeyBlocks(WindowKeyBlocks(window: 1, sinks: 1000, blockTokens: 32, firstQueryBlock: 3, lists: [[], [8]])),
        ]
        for pattern in good + [.union(good)] { try pattern.validate(shape, head: 0) }
        let bad: [(SparsePattern, String)] = [
            (.windowColumns(WindowColumns(window: 1, columns: [257])), "columns of head 5: 257: must be below the 257 keys"),
            (.columnsSlashes(ColumnsSlashes(columns: [1, 3], slashes: [])), "blocks of head 5: 3: must be below the 3 key blocks"),
            (.blocks(BlockMask(blocks: 2) { _, _ in true }), "blocks of head 5: 2: must cover the 3 key blocks"),
            (
                .windowKeyBlocks(WindowKeyBlocks(window: 1, sinks: 0, blockTokens: 32, lists: [[0, 9], [1], []])),
                "blocks of head 5: 9: must be below the 9 key blocks"
            ),
        ]
        for (pattern, message) in bad {
            for pattern in [pattern, .union(good + [.union([pattern])])] {
                let error = #expect(throws: InputError.self) { try pattern.validate(shape, head: 5) }
                #expect(error?.description == message && error?.code == .usage)
            }
        }
    }

    @Test func fractionRefusesPercentages() throws {
        for bad in [0, -0.1, 1.5, 8, .nan, .infinity] {
            #expect(throws: InputError.self) { try Fraction(bad, field: "alpha") }
        }
        #expect(try Fraction(0.05).ceiling(of: 100) == 5)
        #expect(try Fraction(0.05).ceiling(of: 101) == 6)
        #expect(try Fraction(1e-9).ceiling(of: 3) == 1)
    }

    @Test func errorsAreOneLine() {
        let error = InputError(.invalidData, file: "a\nb", field: "x", value: String(repeating: "y", count: 1000), rule: "rule")
        #expect(!error.description.contains("\n"))
        #expect(error.description.count < 400)
        #expect(Set(InputError.Code.allCases.map(\.exitCode)).count == InputError.Code.allCases.count)
    }
}

extension PatternCase {
    /// The causal pairs that `accepts` says yes to.
    fileprivate func count(_ accepts: (_ key: Int, _ position: Int) -> Bool) -> Int {
        var count = 0
        for position in shape.firstPosition..<shape.keyCount {
            for key in 0...position where accepts(key, position) { count += 1 }
        }
        return count
    }

    /// Causal pairs on which `candidate` is not the definition.
    fileprivate func disagreements(_ candidate: (_ key: Int, _ position: Int) -> Bool) -> Int {
        count { candidate($0, $1) != keeps($0, $1) }
    }
}
