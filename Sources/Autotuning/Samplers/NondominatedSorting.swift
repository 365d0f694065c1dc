/// Sorting trials of two objectives into fronts, and picking a part of one.
package enum NondominatedSorting {
    /// One trial's objectives; a single one is followed by 0, which never decides anything.
    package typealias Objectives = SIMD2<Double>

    /// Fronts of trials, best first, until they hold `count` trials or all: no trial of a front is dominated by one of the same
    /// front or a later one. Equal trials share a front. Each front ascends in the first objective.
    ///
    /// - Parameter ranking: indices into `values` by first objective, then second (`TrialHistory.ranking`).
    /// Complexity: O(fronts · trials), without the sort: in this order a trial is dominated exactly when an earlier one is no
    /// worse in the second objective and not its equal.
    /// Source: Deb et al. (2002) for the fronts; Kung, Luccio and Preparata (JACM 22, 1975) for the order.
    package static func fronts(of values: [Objectives?], ranking: [Int], atLeast count: Int) -> [[Int]] {
        var rest = ranking
        var fronts: [[Int]] = []
        var missing = count
        while missing > 0, !rest.isEmpty {
            var front: [Int] = []
            var dominated: [Int] = []
            var last = Objectives(-.infinity, .infinity)
            for index in rest {
                let value = values[index]!
                if value[1] < last[1] || value == last {
                    front.append(index)
                    last = value
                } else {
                    dominated.append(index)
                }
            }
            missing -= front.count
            fronts.append(front)
            rest = dominated
        }
        return fronts
    }

    /// Positions of `count` trials of a front that together dominate much: again and again the one that adds the largest area,
    /// relative to the reference.
    ///
    /// - Parameters:
    ///   - front: ascends in the first objective.
    ///   - reference: no better than any trial in either objective.
    /// Complexity: O(count · front). Greedy is within 1 − 1/e of the best choice, because added areas only shrink.
    /// Source: Guerreiro, Fonseca and Paquete (Evol. Comp. 24, 2016).
    package static func largestHypervolume(_ front: [Objectives], count: Int, reference: Objectives) -> [Int] {
        var chosen = [Bool](repeating: false, count: front.count)
        for _ in 0..<min(count, front.count) {
            var best = (gain: -Double.infinity, index: 0)
            // The first objective of the next chosen trial, for each; then along with the second of the one before.
            var next = [Double](repeating: reference[0], count: front.count)
            for index in front.indices.dropLast().reversed() { next[index] = chosen[index + 1] ? front[index + 1][0] : next[index + 1] }
            var ceiling = reference[1]
            for index in front.indices {
                if chosen[index] {
                    ceiling = front[index][1]
                } else {
                    let gain = (next[index] - front[index][0]) * (ceiling - front[index][1])
                    if gain > best.gain { best = (gain, index) }
                }
            }
            chosen[best.index] = true
        }
        return front.indices.filter { chosen[$0] }
    }
}
