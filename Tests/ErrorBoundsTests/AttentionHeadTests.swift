import AttentionCore
import ErrorBounds
import Testing

@Suite struct AttentionHeadTests {
    @Test("a head read from projections is the rows of its query head and its group's key-value head")
    func fromTensors() throws {
        let shape = AttentionShape(queryHeads: 4, keyValueHeads: 2, queryCount: 3, keyCount: 5, headDimension: 2)
        let queries = (0..<3 * 4 * 2).map { Float($0) + 0.25 }
        let keys = (0..<5 * 2 * 2).map { Float($0) - 7 }
        let values = (0..<5 * 2 * 3).map { Float($0) / 3 }
        try queries.withUnsafeBufferPointer { queries in
            try keys.withUnsafeBufferPointer { keys in
                try values.withUnsafeBufferPointer { values in
                    let head = try AttentionHead(
                        queryHead: 2, shape: shape,
                        queries: HeadTensor(projection: queries.baseAddress!, heads: 4, tokens: 3, dimension: 2),
                        keys: HeadTensor(projection: keys.baseAddress!, heads: 2, tokens: 5, dimension: 2),
                        values: HeadTensor(projection: values.baseAddress!, heads: 2, tokens: 5, dimension: 3))
                    #expect(head.queries == [4, 5, 12, 13, 20, 21].map { Double($0) + 0.25 })
                    #expect(head.keys == [2, 3, 6, 7, 10, 11, 14, 15, 18, 19].map { Double($0) - 7 })
                    let expected = (0..<5).flatMap { token in (3..<6).map { Double(Float(token * 6 + $0) / 3) } }
                    #expect(head.values == expected)
                    #expect(head.valueDimension == 3 && head.firstPosition == 2)
                    #expect(head.scale == 1 / 2.0.squareRoot())
                }
            }
        }
    }

    struct BadHead: Sendable, CustomTestStringConvertible {
        let field: String
        let queries: [[Double]]
        let keys: [[Double]]
        let values: [[Double]]
        var scale: Double?
        var testDescription: String { field }
    }

    @Test(
        "an unusable head is refused with the field at fault",
        arguments: [
            BadHead(field: "queries", queries: [[1], [1]], keys: [[1]], values: [[1]]),
            BadHead(field: "queries", queries: [[1, 2]], keys: [[1]], values: [[1]]),
            BadHead(field: "queries", queries: [], keys: [[1]], values: [[1]]),
            BadHead(field: "keys", queries: [[1]], keys: [[1], [1, 2]], values: [[1], [1]]),
            BadHead(field: "keys", queries: [[1]], keys: [[]], values: [[1]]),
            BadHead(field: "values", queries: [[1]], keys: [[1], [2]], values: [[1]]),
            BadHead(field: "values[1][0]", queries: [[1]], keys: [[1], [2]], values: [[1], [.nan]]),
            BadHead(field: "keys[0][0]", queries: [[1]], keys: [[.infinity]], values: [[1]]),
            BadHead(field: "queries[0][0]", queries: [[1e200]], keys: [[1]], values: [[1]]),
            BadHead(field: "scale", queries: [[1]], keys: [[1]], values: [[1]], scale: .nan),
        ])
    func refusals(bad: BadHead) throws {
        let error = try #require(throws: InputError.self) {
            try AttentionHead(queries: bad.queries, keys: bad.keys, values: bad.values, scale: bad.scale)
        }
        #expect(error.code == .invalidData)
        #expect(error.field == bad.field)
    }
}
