/// The trials of two objectives, a cost and a loss, that no other trial beats in both: lower is better.
///
/// Kept by ascending cost, and so by descending loss.
public struct ParetoFront: Sendable, Hashable {
    /// One trial's objectives, and its number for who wants to find it again.
    public struct Member: Sendable, Hashable, Codable {
        public let cost, loss: Double
        public let trial: Int

        public init(cost: Double, loss: Double, trial: Int) {
            self.cost = cost
            self.loss = loss
            self.trial = trial
        }
    }

    /// By ascending cost; both objectives differ strictly from each to the next.
    public private(set) var members: [Member] = []

    public init() {}

    /// The front of some trials. Complexity: O(n log n) when few are dominated late, O(n²) at worst.
    public init(_ trials: some Sequence<Member>) {
        for trial in trials { insert(trial) }
    }

    /// Adds a trial unless a member is no worse in both objectives, and drops the members it is no worse than.
    ///
    /// Trials with an objective that is not finite are left out; of equal trials the first stays.
    /// - Returns: whether the trial is a member now.
    /// Complexity: O(log members) to refuse, O(members) to add.
    @discardableResult
    public mutating func insert(_ trial: Member) -> Bool {
        guard trial.cost.isFinite, trial.loss.isFinite else { return false }
        let first = position(of: trial.cost)
        // The nearest cheaper member has the least loss of all cheaper ones.
        if first > 0, members[first - 1].loss <= trial.loss { return false }
        if first < members.count, members[first].cost == trial.cost, members[first].loss <= trial.loss { return false }
        let end = members[first...].firstIndex { $0.loss < trial.loss } ?? members.count
        members.replaceSubrange(first..<end, with: [trial])
        return true
    }

    /// True when a member is no worse in both objectives. Complexity: O(log members).
    public func covers(cost: Double, loss: Double) -> Bool {
        let after = position(of: cost.nextUp)
        return after > 0 && members[after - 1].loss <= loss
    }

    /// The area that the front dominates up to a reference point: Σ (cost_{i+1} − cost_i) (reference loss − loss_i) over the
    /// members better than it in both objectives, the last up to the reference's cost.
    ///
    /// Complexity: O(members). Source: Zitzler and Thiele (PPSN V, 1998), in two dimensions.
    public func hypervolume(cost: Double, loss: Double) -> Double {
        let inside = members.filter { $0.cost < cost && $0.loss < loss }
        return inside.indices.reduce(0) { area, index in
            let next = index + 1 < inside.count ? inside[index + 1].cost : cost
            return area + (next - inside[index].cost) * (loss - inside[index].loss)
        }
    }

    /// The first member that costs no less.
    private func position(of cost: Double) -> Int {
        var (low, high) = (0, members.count)
        while low < high {
            let middle = (low + high) / 2
            if members[middle].cost < cost { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
