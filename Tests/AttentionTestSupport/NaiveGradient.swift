import AttentionCore

/// The backward pass by definition, in double precision, in attention in which every row sees the last `window` keys up to itself.
extension NaiveAttention {
    /// In the layouts of the inputs.
    public struct Gradients: Sendable {
        public var query, key, value: [Double]
    }

    private func seen(row: Int, window: Int) -> ClosedRange<Int> {
        let position = shape.firstPosition + row
        return max(0, position - window + 1)...position
    }

    /// Σ weights ⊙ output, the weights [token][head · dimension]: a scalar with the output's gradient `weights`.
    public func weightedOutput(_ weights: [Float], window: Int) -> Double {
        var sum = 0.0
        for head in 0..<shape.queryHeads {
            for row in 0..<shape.queryCount {
                let keys = seen(row: row, window: window)
                let own = self.row(head: head, row: row) { keys.contains($0) }.output
                let first = (row * shape.queryHeads + head) * shape.headDimension
                for (t, x) in own.enumerated() { sum += Double(weights[first + t]) * x }
            }
        }
        return sum
    }

    /// Gradients of `weightedOutput`.
    public func gradients(ofWeightedOutput weights: [Float], window: Int) -> Gradients {
        let d = shape.headDimension
        let root = Double(d).squareRoot()
        var result = Gradients(
            query: Array(repeating: 0, count: query.count), key: Array(repeating: 0, count: key.count),
            value: Array(repeating: 0, count: value.count))
        for head in 0..<shape.queryHeads {
            for row in 0..<shape.queryCount {
                let keys = seen(row: row, window: window)
                let q = (row * shape.queryHeads + head) * d
                let s = scores(head: head, row: row)
                let sink = shape.scores.sinks.map { Double($0[head]) }
                let highest = max(keys.map { s[$0] }.max()!, sink ?? -.infinity)
                let sum = keys.reduce(sink.map { exponential($0 - highest) } ?? 0) { $0 + exponential(s[$1] - highest) }
                let p = keys.map { exponential(s[$0] - highest) / sum }
                // The gradient of each probability, and their mean, in which the sink counts with a value of zero.
                let dp = keys.map { token in
                    let v = (token * shape.keyValueHeads + shape.keyValueHead(of: head)) * d
                    return (0..<d).reduce(0.0) { $0 + Double(weights[q + $1]) * Double(value[v + $1]) }
                }
                let mean = zip(p, dp).reduce(0.0) { $0 + $1.0 * $1.1 }
                for (index, token) in keys.enumerated() {
                    let k = (token * shape.keyValueHeads + shape.keyValueHead(of: head)) * d
                    let slope = shape.scores.softCap.map { 1 - (s[token] / $0) * (s[token] / $0) } ?? 1
                    let ds = p[index] * (dp[index] - mean) * slope / root
                    for t in 0..<d {
                        result.query[q + t] += ds * Double(key[k + t])
                        result.key[k + t] += ds * Double(query[q + t])
                        result.value[k + t] += p[index] * Double(weights[q + t])
                    }
                }
            }
        }
        return result
    }
}
