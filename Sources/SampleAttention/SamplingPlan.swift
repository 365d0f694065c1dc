import AttentionCore

/// Which query rows stage 1 scores.
public struct SamplingPlan: Hashable, Sendable {
    /// Rows of one block of `tailBlocks`.
    public static let tailBlockRows = 16

    /// Query indices, ascending.
    public let rows: [Int]

    /// ⌈ratio · queryCount⌉ rows at equal strides, each in the middle of its stride; a ratio of 1 takes every row.
    ///
    /// Source: SampleAttention (arXiv 2406.15486), stride sampling along the queries.
    public static func strided(queryCount: Int, ratio: Fraction) -> SamplingPlan {
        let count = ratio.ceiling(of: queryCount)
        return SamplingPlan(rows: (0..<count).map { (2 * $0 + 1) * queryCount / (2 * count) })
    }

    /// ⌈ratio · queryCount⌉ rows in blocks of 16, each at the end of one of as many equal segments of the queries; the last
    /// block holds what is left. A ratio of 1 takes every row.
    ///
    /// S = ⌈rows / 16⌉ segments; segment s ends before row ⌊(s + 1) · queryCount / S⌋.
    /// Source: SampleAttention v3 (MLSys 2025; arXiv 2406.15486v3), sampling at the tail of each segment.
    public static func tailBlocks(queryCount: Int, ratio: Fraction) -> SamplingPlan {
        let count = ratio.ceiling(of: queryCount)
        let segments = (count + tailBlockRows - 1) / tailBlockRows
        var rows: [Int] = []
        for segment in 0..<segments {
            let end = (segment + 1) * queryCount / segments
            // At ratios near 1 a segment may be shorter than a block: then there are `end` rows so far and no more.
            let taken = min((segment + 1) * tailBlockRows, count, end)
            rows += (end - (taken - rows.count))..<end
        }
        return SamplingPlan(rows: rows)
    }

    /// The last ⌈ratio · queryCount⌉ rows.
    ///
    /// Source: vertical-slash indices from the last queries, MInference (arXiv 2407.02490); here for comparison.
    public static func lastRows(queryCount: Int, ratio: Fraction) -> SamplingPlan {
        SamplingPlan(rows: Array((queryCount - ratio.ceiling(of: queryCount))..<queryCount))
    }

    /// ⌈ratio · queryCount⌉ distinct rows drawn at random with a seed; a ratio of 1 takes every row.
    public static func random(queryCount: Int, ratio: Fraction, seed: UInt64) -> SamplingPlan {
        random(queryCount: queryCount, count: ratio.ceiling(of: queryCount), seed: seed)
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
