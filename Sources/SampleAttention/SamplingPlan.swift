import AttentionCore

/// Which query rows stage 1 scores.
public struct SamplingPlan: Hashable, Sendable {
    /// Query indices, ascending.
    public let rows: [Int]

    /// ⌈ratio · queryCount⌉ rows at equal strides, each in the middle of its stride; a ratio of 1 takes every row.
    ///
    /// Source: SampleAttention (arXiv 2406.15486), stride sampling along the queries.
    public static func strided(queryCount: Int, ratio: Fraction) -> SamplingPlan {
        let count = ratio.ceiling(of: queryCount)
        return SamplingPlan(rows: (0..<count).map { (2 * $0 + 1) * queryCount / (2 * count) })
    }

    /// `count` distinct rows drawn at random with a seed.
    public static func random(queryCount: Int, count: Int, seed: UInt64) -> SamplingPlan {
        var generator = SeededGenerator(seed: seed)
        // Selection sampling (Knuth, TAOCP 2, 3.4.2 S): ascending and without repeats in one pass.
        var rows: [Int] = []
        let wanted = min(count, queryCount)
        for row in 0..<queryCount where generator.uniform() * Double(queryCount - row) < Double(wanted - rows.count) {
            rows.append(row)
        }
        return SamplingPlan(rows: rows)
    }

    private init(rows: [Int]) { self.rows = rows }
}
