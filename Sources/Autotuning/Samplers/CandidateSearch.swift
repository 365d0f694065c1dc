import AttentionCore

/// Looks for a point with a high score: everywhere and around the best trials first, then around the best candidate.
struct CandidateSearch {
    private static let everywhere = 64
    private static let nearby = 64
    private static let refined = 32

    /// The best trials so far, at least one.
    let incumbents: [[Double]]
    /// The length of a long step in each coordinate; longer ones than the cube do not count.
    let reach: [Double]

    /// - Parameter scores: of several candidates at once, so that they can share the work; −∞ for points not wanted.
    func best(random: inout SeededGenerator, scores: ([[Double]]) -> [Double]) -> [Double] {
        var candidates = (0..<Self.everywhere).map { _ in random.point(dimensions: reach.count) }
        for index in 0..<Self.nearby { candidates.append(neighbour(of: incumbents[index % incumbents.count], random: &random)) }
        var best = Self.highest(candidates, scores(candidates))
        candidates = (0..<Self.refined).map { _ in neighbour(of: best.point, random: &random) }
        let refined = Self.highest(candidates, scores(candidates))
        if refined.score > best.score { best = refined }
        return best.point
    }

    private static func highest(_ candidates: [[Double]], _ scores: [Double]) -> (score: Double, point: [Double]) {
        let index = scores.indices.max { scores[$0] < scores[$1] }!
        return (scores[index], candidates[index])
    }

    /// A step of any size from a third of the reach to a thousandth, in about half of the coordinates.
    private func neighbour(of point: [Double], random: inout SeededGenerator) -> [Double] {
        let size = power(10, -0.5 - 2.5 * random.uniform())
        let always = Int.random(in: point.indices, using: &random)
        return point.indices.map { index in
            guard index == always || random.uniform() < 0.5 else { return point[index] }
            return min(1, max(0, point[index] + size * min(1, reach[index]) * random.normal()))
        }
    }
}
