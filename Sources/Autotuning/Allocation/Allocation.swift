/// One option for each of many heads, so that the total cost is least while the total damage stays within a budget: the
/// multiple-choice knapsack problem.
///
/// Solved exactly on a grid: damage is rounded *up* to `levels` steps of the budget, so what is returned never exceeds it, and it
/// is the cheapest choice for the rounded damages. A Lagrange multiplier would be quicker, but it reaches only options on each
/// head's convex hull and stops at the last multiplier that fits: with few, unequal heads what it leaves of the budget is worth
/// one head's step from dense to sparse. Here a hundred heads with a dozen options take milliseconds.
///
/// Complexity: O(heads · options · levels) time, O(heads · levels) memory.
/// Source: Dudzinski and Walukiewicz, "Exact methods for the knapsack problem and its relatives" (EJOR 28, 1987), dynamic programming.
public enum Allocation {
    /// What choosing an option costs and spoils; any units, the same for all heads. Damage may be negative and counts as 0 then.
    public struct Option: Hashable, Sendable {
        public let cost, damage: Double
        /// Damage of another kind, with a budget of its own; not negative.
        public let otherDamage: Double

        public init(cost: Double, damage: Double, otherDamage: Double = 0) {
            self.cost = cost
            self.damage = damage
            self.otherDamage = otherDamage
        }
    }

    /// The steps into which the budget is cut.
    public static let standardLevels = 4096

    /// The index of the option each head gets.
    ///
    /// - Parameters:
    ///   - options: at least one for each head; damages and costs that are not finite are never chosen.
    ///   - budget: of the summed damage; not negative.
    /// - Returns: nil when no choice stays within the budget.
    public static func cheapest(_ options: [[Option]], budget: Double, levels: Int = standardLevels) -> [Int]? {
        let steps = options.map { $0.map { option in step(option, budget: budget, levels: levels) } }
        return Table(options: options, steps: steps, levels: levels).choices()
    }

    /// The same within a budget of the other damage as well.
    ///
    /// Exact for two kinds takes a table in two dimensions. Mostly one of them binds: so each is kept exactly while the other has a price, the
    /// least at which it stays within its budget, and both are summed, as parts of their budgets; the cheapest of the three is what is
    /// returned. A price reaches only choices on the convex hull of cost and that damage, a sum only half-way where both kinds count alike.
    public static func cheapest(
        _ options: [[Option]], budget: Double, otherBudget: Double, levels: Int = standardLevels
    ) -> [Int]? {
        guard budget > 0, otherBudget > 0 else {
            let allowed = options.map {
                $0.map { Option(cost: $0.cost, damage: $0.damage > budget || $0.otherDamage > otherBudget ? .infinity : $0.damage) }
            }
            return cheapest(allowed, budget: budget, levels: levels)
        }
        let shares = options.map {
            $0.map { Option(cost: $0.cost, damage: max(0, $0.damage) / budget, otherDamage: max(0, $0.otherDamage) / otherBudget) }
        }
        let swapped = shares.map { $0.map { Option(cost: $0.cost, damage: $0.otherDamage, otherDamage: $0.damage) } }
        let summed = shares.map { $0.map { Option(cost: $0.cost, damage: $0.damage + $0.otherDamage) } }
        let found = [priced(shares, levels: levels), priced(swapped, levels: levels), cheapest(summed, budget: 1, levels: levels)]
        func cost(_ choices: [Int]) -> Double { zip(options, choices).reduce(0) { $0 + $1.0[$1.1].cost } }
        return found.compactMap(\.self).min { cost($0) < cost($1) }
    }

    /// Damage up to 1 kept exactly, the other up to 1 by a price.
    private static func priced(_ options: [[Option]], levels: Int) -> [Int]? {
        func choices(_ price: Double) -> [Int]? {
            let priced = options.map { $0.map { Option(cost: $0.cost + price * $0.otherDamage, damage: $0.damage) } }
            return cheapest(priced, budget: 1, levels: levels)
        }
        func holds(_ choices: [Int]) -> Bool { zip(options, choices).reduce(0) { $0 + $1.0[$1.1].otherDamage } <= 1 }
        guard let free = choices(0) else { return nil }
        if holds(free) { return free }
        // All costs together for a thousandth of the budget: whatever can be avoided is not worth that.
        var high = 1000 * options.joined().reduce(0) { $0 + ($1.cost.isFinite ? $1.cost : 0) }
        guard var best = choices(high), holds(best) else { return nil }
        var low = high * 1e-9
        while high > 1.02 * low {
            let price = (low * high).squareRoot()
            if let found = choices(price), holds(found) { (best, high) = (found, price) } else { low = price }
        }
        return best
    }

    /// The same with the roles changed: the least damage whose cost stays within a budget.
    public static func leastDamage(_ options: [[Option]], costBudget: Double, levels: Int = standardLevels) -> [Int]? {
        cheapest(options.map { $0.map { Option(cost: max(0, $0.damage), damage: $0.cost) } }, budget: costBudget, levels: levels)
    }

    /// Damage in steps, rounded up; nil for what can never be chosen.
    private static func step(_ option: Option, budget: Double, levels: Int) -> Int? {
        guard option.damage.isFinite, option.cost.isFinite, option.damage <= budget else { return nil }
        return option.damage <= 0 ? 0 : Int((option.damage / budget * Double(levels)).rounded(.up))
    }

    /// least[head][level]: the least cost of heads up to this one with at most so many steps of damage.
    private struct Table {
        private let levels: Int
        private let steps: [[Int?]]
        /// The option of a head at a level; −1 where none fits.
        private var choice: [Int32]
        private var isFeasible = false

        init(options: [[Option]], steps: [[Int?]], levels: Int) {
            self.levels = levels
            self.steps = steps
            choice = Array(repeating: -1, count: options.count * (levels + 1))
            var least = [Double](repeating: 0, count: levels + 1)
            for head in options.indices {
                var next = [Double](repeating: .infinity, count: levels + 1)
                for (index, option) in options[head].enumerated() {
                    guard let used = steps[head][index], used <= levels else { continue }
                    for level in used...levels where least[level - used] + option.cost < next[level] {
                        next[level] = least[level - used] + option.cost
                        choice[head * (levels + 1) + level] = Int32(index)
                    }
                }
                least = next
            }
            isFeasible = least[levels].isFinite
        }

        func choices() -> [Int]? {
            guard isFeasible else { return nil }
            var level = levels
            var chosen: [Int] = []
            for head in steps.indices.reversed() {
                let index = Int(choice[head * (levels + 1) + level])
                chosen.append(index)
                level -= steps[head][index] ?? 0
            }
            return chosen.reversed()
        }
    }
}
