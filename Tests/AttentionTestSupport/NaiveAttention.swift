import AttentionCore

/// The larger of two errors. Not a number counts as infinitely wrong, which `max` would pass over.
public func worse(_ a: Double, _ b: Double) -> Double { a.isNaN || b.isNaN ? .infinity : max(a, b) }

/// The oracle: attention by definition, in double precision, one row at a time, with any mask.
public struct NaiveAttention: Sendable {
    public let shape: AttentionShape
    public private(set) var query, key, value: [Float]

    /// Random heads in projection layout ([token][head · dimension]); keys get a shared drift so that attention is peaked.
    public init(shape: AttentionShape, seed: UInt64, spread: Float = 1) {
        self.shape = shape
        var random = SeededGenerator(seed: seed)
        func fill(_ count: Int) -> [Float] { (0..<count).map { _ in Float(random.normal()) * spread } }
        query = fill(shape.queryCount * shape.queryHeads * shape.headDimension)
        key = fill(shape.keyCount * shape.keyValueHeads * shape.headDimension)
        value = fill(shape.keyCount * shape.keyValueHeads * shape.headDimension)
    }

    /// The same with one number of a key replaced by what is not finite: the first of key-value head 0.
    public func with(brokenKey token: Int, as number: Float = .nan) -> NaiveAttention {
        var copy = self
        copy.key[token * shape.keyValueHeads * shape.headDimension] = number
        return copy
    }

    /// The same with one number of a query replaced: the first of a head.
    public func with(brokenQuery token: Int, head: Int, as number: Float = .nan) -> NaiveAttention {
        var copy = self
        copy.query[(token * shape.queryHeads + head) * shape.headDimension] = number
        return copy
    }

    /// The same with one number of a value replaced: the last of the last key-value head.
    public func with(brokenValue token: Int, as number: Float = .nan) -> NaiveAttention {
        var copy = self
        copy.value[(token + 1) * shape.keyValueHeads * shape.headDimension - 1] = number
        return copy
    }

    /// The same with queries and keys multiplied: scores that leave FP32.
    public func with(queriesAndKeysTimes factor: Float) -> NaiveAttention {
        with(keys: key.map { $0 * factor }).with(queries: query.map { $0 * factor })
    }

    /// The same with the keys from `token` on multiplied: scores that rise suddenly.
    public func with(keysFrom token: Int, times factor: Float) -> NaiveAttention {
        var copy = self
        for index in token * shape.keyValueHeads * shape.headDimension..<key.count { copy.key[index] *= factor }
        return copy
    }

    /// The same with other keys, [token][key-value head · dimension].
    public func with(keys: [Float]) -> NaiveAttention {
        precondition(keys.count == key.count, "as many keys as before")
        var copy = self
        copy.key = keys
        return copy
    }

    /// The same with other queries, [token][head · dimension].
    public func with(queries: [Float]) -> NaiveAttention {
        precondition(queries.count == query.count, "as many queries as before")
        var copy = self
        copy.query = queries
        return copy
    }

    /// The same with other values, [token][key-value head · dimension].
    public func with(values: [Float]) -> NaiveAttention {
        precondition(values.count == value.count, "as many values as before")
        var copy = self
        copy.value = values
        return copy
    }

    /// The same with all queries and keys of 128 positions equal to the first of them.
    public func withConstantBlocks() -> NaiveAttention {
        func constant(_ rows: [Float], width: Int) -> [Float] {
            rows.indices.map { rows[$0 / width / 128 * 128 * width + $0 % width] }
        }
        return with(keys: constant(key, width: shape.keyValueHeads * shape.headDimension))
            .with(queries: constant(query, width: shape.queryHeads * shape.headDimension))
    }

    /// Lends the inputs as views.
    public func withTensors<Result>(_ body: (_ query: HeadTensor, _ key: HeadTensor, _ value: HeadTensor) throws -> Result) rethrows
        -> Result
    {
        try query.withUnsafeBufferPointer { q in
            try key.withUnsafeBufferPointer { k in
                try value.withUnsafeBufferPointer { v in
                    try body(
                        HeadTensor(
                            projection: q.baseAddress!, heads: shape.queryHeads, tokens: shape.queryCount, dimension: shape.headDimension),
                        HeadTensor(
                            projection: k.baseAddress!, heads: shape.keyValueHeads, tokens: shape.keyCount, dimension: shape.headDimension),
                        HeadTensor(
                            projection: v.baseAddress!, heads: shape.keyValueHeads, tokens: shape.keyCount, dimension: shape.headDimension))
                }
            }
        }
    }

    public struct Row {
        public let output: [Double]
        public let logSumExp: Double
        /// Σ p |v|: the scale that rounding errors of the output are relative to.
        public let magnitude: [Double]
    }

    /// Scores of one row against every causal key: q · k / √d, capped as the shape says.
    public func scores(head: Int, row: Int) -> [Double] {
        let d = shape.headDimension
        let q = (row * shape.queryHeads + head) * d
        return (0...shape.firstPosition + row).map { token in
            let k = (token * shape.keyValueHeads + shape.keyValueHead(of: head)) * d
            let score = (0..<d).reduce(0.0) { $0 + Double(query[q + $1]) * Double(key[k + $1]) } / Double(d).squareRoot()
            return shape.scores.softCap.map { $0 * hyperbolicTangent(score / $0) } ?? score
        }
    }

    /// The largest Σ_t |q_t k_t| / √d of a row over its causal keys: what rounding errors of its scores are relative to.
    public func scoreMagnitude(head: Int, row: Int) -> Double {
        let d = shape.headDimension
        let q = (row * shape.queryHeads + head) * d
        return (0...shape.firstPosition + row).reduce(0.0) { most, token in
            let k = (token * shape.keyValueHeads + shape.keyValueHead(of: head)) * d
            return max(most, (0..<d).reduce(0.0) { $0 + abs(Double(query[q + $1]) * Double(key[k + $1])) })
        } / Double(d).squareRoot()
    }

    /// Softmax of one row over all its causal keys.
    public func probabilities(head: Int, row: Int) -> [Double] {
        let s = scores(head: head, row: row)
        let highest = s.max()!
        let powers = s.map { exponential($0 - highest) }
        let sum = powers.reduce(0, +)
        return powers.map { $0 / sum }
    }

    /// The row's output over the keys that `keeps` accepts; the log-sum-exp is that of the keys alone, whether there is a sink or not.
    public func row(head: Int, row: Int, keeps: (Int) -> Bool) -> Row {
        let d = shape.headDimension
        let s = scores(head: head, row: row)
        let kept = s.indices.filter(keeps)
        let highest = kept.map { s[$0] }.max()!
        let powers = kept.map { exponential(s[$0] - highest) }
        let keySum = powers.reduce(0, +)
        let sum = keySum + (shape.scores.sinks.map { exponential(Double($0[head]) - highest) } ?? 0)
        var output = [Double](repeating: 0, count: d)
        var magnitude = output
        for (token, power) in zip(kept, powers) {
            let v = (token * shape.keyValueHeads + shape.keyValueHead(of: head)) * d
            for t in 0..<d {
                output[t] += power / sum * Double(value[v + t])
                magnitude[t] += power / sum * abs(Double(value[v + t]))
            }
        }
        return Row(output: output, logSumExp: highest + logarithm(keySum), magnitude: magnitude)
    }
}
