import AttentionCore

/// Random Q, K, V and room for the output, in projection layout.
struct RandomHeads: ~Copyable {
    private let queries, keys, values, outputs: AlignedBuffer<Float>
    private let shape: AttentionShape

    init(shape: AttentionShape, seed: UInt64) {
        self.shape = shape
        var random = SeededGenerator(seed: seed)
        queries = random.buffer(shape.queryCount * shape.queryHeads * shape.headDimension, within: 2)
        keys = random.buffer(shape.keyCount * shape.keyValueHeads * shape.headDimension, within: 2)
        values = random.buffer(shape.keyCount * shape.keyValueHeads * shape.headDimension, within: 2)
        outputs = AlignedBuffer(count: shape.queryCount * shape.queryHeads * shape.headDimension)
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
    mutating func buffer(_ count: Int, within limit: Double) -> AlignedBuffer<Float> {
        let buffer = AlignedBuffer<Float>(count: count)
        for index in 0..<count { buffer[index] = Float((uniform() * 2 - 1) * limit) }
        return buffer
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
