import AttentionCore
import Testing

/// Memory that callers describe: what does not fit is refused by field and rule before a pointer is made of it.
@Suite struct HeadArrayTests {
    /// [head][token][dimension] numbers that say where they belong.
    private static func number(_ head: Int, _ token: Int, _ place: Int) -> Float { Float(100 * head + 10 * token + place) }

    private static func numbers(_ layout: HeadArray.Layout, heads: Int, tokens: Int, dimension: Int) -> [Float] {
        let (outer, inner) = layout == .headMajor ? (heads, tokens) : (tokens, heads)
        return (0..<outer).flatMap { outer in
            (0..<inner).flatMap { inner in
                (0..<dimension).map { layout == .headMajor ? number(outer, inner, $0) : number(inner, outer, $0) }
            }
        }
    }

    @Test(arguments: HeadArray.Layout.allCases) func rowsAndViewsAreThoseOfTheLayout(layout: HeadArray.Layout) throws {
        let array = try HeadArray(
            Self.numbers(layout, heads: 2, tokens: 3, dimension: 4), heads: 2, tokens: 3, dimension: 4, layout: layout)
        array.withTensor { view in
            #expect(view.heads == 2 && view.tokens == 3 && view.dimension == 4)
            for head in 0..<2 {
                for token in 0..<3 {
                    let row = (0..<4).map { Self.number(head, token, $0) }
                    #expect(Array(array[head: head, token: token]) == row)
                    #expect((0..<4).map { view.row(head: head, token: token)[$0] } == row)
                }
            }
        }
        let written = HeadArray(heads: 2, tokens: 3, dimension: 4, layout: layout) { view in
            for head in 0..<2 {
                for token in 0..<3 { for place in 0..<4 { view.row(head: head, token: token)[place] = Self.number(head, token, place) } }
            }
        }
        #expect(written == array)
    }

    /// What a description is refused for, by the field that the error names.
    @Test(arguments: [
        (0, 3, 4, "query.heads"), (2, 0, 4, "query.tokens"), (2, 3, -1, "query.dimension"), (2, 3, Int(Int32.max) + 1, "query.dimension"),
        (2, 3, 5, "query.count"), (2, 3, 3, "query.count"), (1, 1, 1, "query.count"),
        (Int(Int32.max), Int(Int32.max), Int(Int32.max), "query.count"),
    ])
    func refusesOtherExtents(heads: Int, tokens: Int, dimension: Int, field: String) {
        for layout in HeadArray.Layout.allCases {
            let error = #expect(throws: InputError.self) {
                try HeadArray(
                    Array(repeating: 0, count: 24), heads: heads, tokens: tokens, dimension: dimension, layout: layout, field: "query")
            }
            #expect(error?.field == field && error?.code == .usage)
        }
    }

    @Test func viewsAreHeldAgainstTheirMemory() throws {
        let memory = AlignedBuffer<Float>(count: 24)
        let floats = memory.elements
        _ = floats.update(fromContentsOf: Self.numbers(.headMajor, heads: 2, tokens: 3, dimension: 4))
        func view(_ headStride: Int, _ tokenStride: Int, tokens: Int = 3) throws(InputError) -> HeadTensor {
            try HeadTensor(
                UnsafeBufferPointer(floats), heads: 2, tokens: tokens, dimension: 4, headStride: headStride, tokenStride: tokenStride,
                field: "key")
        }
        func writable(_ headStride: Int, _ tokenStride: Int) throws(InputError) -> MutableHeadTensor {
            try MutableHeadTensor(floats, heads: 2, tokens: 3, dimension: 4, headStride: headStride, tokenStride: tokenStride)
        }
        #expect(try view(12, 4).row(head: 1, token: 2)[3] == Self.number(1, 2, 3))
        #expect(try writable(12, 4).row(head: 1, token: 0)[0] == Self.number(1, 0, 0))
        #expect(try writable(4, 8).row(head: 1, token: 2)[3] == Self.number(1, 2, 3))
        // The last row would end one float behind the memory.
        #expect(throws: InputError.self) { try view(13, 4) }
        #expect(throws: InputError.self) { try view(4, 9) }
        #expect(throws: InputError.self) { try view(-4, 8) }
        #expect(throws: InputError.self) { try view(4, .max) }
        #expect(throws: InputError.self) { try view(.max, .max) }
        // Rows may be read twice, and must not be written twice.
        #expect(try view(0, 4).row(head: 1, token: 2)[3] == Self.number(0, 2, 3))
        #expect(throws: InputError.self) { try writable(0, 4) }
        #expect(throws: InputError.self) { try writable(11, 4) }
        #expect(throws: InputError.self) { try writable(12, 3) }
        #expect(throws: InputError.self) {
            try HeadTensor(UnsafeBufferPointer(start: nil, count: 0), heads: 1, tokens: 1, dimension: 1, headStride: 1, tokenStride: 1)
        }
    }

    @Test func arraysThatDoNotFitAreNamed() throws {
        func array(_ heads: Int, _ tokens: Int, _ dimension: Int = 2) throws -> HeadArray {
            try HeadArray(Array(repeating: 0, count: heads * tokens * dimension), heads: heads, tokens: tokens, dimension: dimension)
        }
        let shape = try AttentionShape(query: array(4, 3), key: array(2, 5), value: array(2, 5))
        #expect(shape == AttentionShape(queryHeads: 4, keyValueHeads: 2, queryCount: 3, keyCount: 5, headDimension: 2))
        for (query, key, value, field) in try [
            (array(4, 3), array(3, 5), array(3, 5), "key.heads"), (array(4, 6), array(2, 5), array(2, 5), "query.tokens"),
            (array(4, 3), array(2, 5, 3), array(2, 5), "key.dimension"), (array(4, 3), array(2, 5), array(4, 5), "value.heads"),
            (array(4, 3), array(2, 5), array(2, 4), "value.tokens"), (array(4, 3), array(2, 5), array(2, 5, 3), "value.dimension"),
        ] {
            let error = #expect(throws: InputError.self) { try AttentionShape(query: query, key: key, value: value) }
            #expect(error?.field == field)
        }
    }
}
