import AttentionCore

/// Random Q, K, V and room for the output, in projection layout.
struct RandomHeads: ~Copyable {
    private let queries, keys, values, outputs: AlignedBuffer<Float>
    private let shape: AttentionShape

    /// - Throws: `InputError` (`systemFailure`) when the system does not give the memory.
    init(shape: AttentionShape, seed: UInt64) throws(InputError) {
        func room(_ tokens: Int, _ heads: Int) throws(InputError) -> AlignedBuffer<Float> {
            try AlignedBuffer(extents: tokens, heads, shape.headDimension, of: "heads of \(tokens) tokens")
        }
        let (queryCount, keyCount) = (shape.queryCount, shape.keyCount)
        let query = try room(queryCount, shape.queryHeads)
        let key = try room(keyCount, shape.keyValueHeads)
        let value = try room(keyCount, shape.keyValueHeads)
        let output = try room(queryCount, shape.queryHeads)
        var random = SeededGenerator(seed: seed)
        random.fill(query, within: 2)
        random.fill(key, within: 2)
        random.fill(value, within: 2)
        self.shape = shape
        queries = query
        keys = key
        values = value
        outputs = output
    }

    var query: HeadTensor {
        HeadTensor(projection: queries.base, heads: shape.queryHeads, tokens: shape.queryCount, dimension: shape.headDimension)
    }
    var key: HeadTensor {
        HeadTensor(projection: keys.base, heads: shape.keyValueHeads, tokens: shape.keyCount, dimension: shape.headDimension)
    }
    var value: HeadTensor {
        HeadTensor(projection: values.base, heads: shape.keyValueHeads, tokens: shape.keyCount, dimension: shape.headDimension)
    }
    var output: MutableHeadTensor {
        MutableHeadTensor(projection: outputs.base, heads: shape.queryHeads, tokens: shape.queryCount, dimension: shape.headDimension)
    }

    /// Relative to the other's largest output.
    func largestDifference(from other: borrowing RandomHeads) -> Double {
        var difference: Float = 0
        var largest: Float = 0
        for index in 0..<outputs.count {
            let own = abs(outputs[index] - other.outputs[index])
            // `max` would pass over what is not a number.
            if own.isNaN { return .infinity }
            difference = max(difference, own)
            largest = max(largest, abs(other.outputs[index]))
        }
        return Double(difference / largest)
    }
}

extension SeededGenerator {
    /// Numbers drawn evenly from −limit to limit.
    mutating func fill(_ buffer: borrowing AlignedBuffer<Float>, within limit: Double) {
        for index in 0..<buffer.count { buffer[index] = Float((uniform() * 2 - 1) * limit) }
    }
}

extension AttentionShape {
    /// The same heads on a prefix that the scalar reference can do in a moment.
    var checked: AttentionShape {
        let length = min(keyCount, 700)
        return AttentionShape(
            queryHeads: queryHeads, keyValueHeads: keyValueHeads, queryCount: length, keyCount: length, headDimension: headDimension)
    }
}
