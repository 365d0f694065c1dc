import AttentionCore
import SampleAttention
import Testing

@Suite struct FewestToReachTests {
    /// What a threshold search can get wrong: ties, gaps, one bucket for all, and numbers at the ends of the range.
    enum Masses: String, CaseIterable, Sendable {
        case uniform, skewed, tied, allEqual, mostlyZero, allZero, denormal, hugeRange, oneBucket, neighbours, one

        func make(_ seed: UInt64) -> [Float] {
            var random = SeededGenerator(seed: seed)
            let count = self == .one ? 1 : 1 + Int(random.next() % 700)
            return (0..<count).map { _ in value(&random) }
        }

        private func value(_ random: inout SeededGenerator) -> Float {
            let uniform = Float(random.uniform())
            let bits = UInt32(truncatingIfNeeded: random.next())
            return switch self {
            case .uniform, .one: uniform
            case .skewed: uniform * uniform * uniform * uniform
            case .tied: Float(bits % 5) / 4
            case .allEqual: 0.3
            case .mostlyZero: bits % 20 == 0 ? uniform : 0
            case .allZero: 0
            case .denormal: Float(bitPattern: bits % 9 == 0 ? 0 : bits % 3000 * 2000)
            case .hugeRange: Float(sign: .plus, exponent: Int(bits % 276) - 149, significand: 1 + uniform)
            case .oneBucket: 1 + uniform / 16
            case .neighbours: Float(bitPattern: Float(1).bitPattern + bits % 4)
            }
        }
    }

    /// The rule itself, by sorting: positions in the order in which they are taken, and the sum after each.
    static func reference(_ masses: [Float], keepingFirst first: Int) -> (order: [Int], sums: [Double]) {
        let rest = (first..<masses.count).filter { masses[$0] > 0 }.sorted { (masses[$1], $0) < (masses[$0], $1) }
        var sums = [masses[..<first].reduce(0.0) { $0 + Double($1) }]
        for position in rest { sums.append(sums.last! + Double(masses[position])) }
        return (rest, sums)
    }

    static func expect(_ masses: [Float], first: Int, target: Double, takes count: Int, of order: [Int], _ label: String) {
        let found = FewestToReach(masses, keepingFirst: first).positions(reaching: target)
        let expected = (Array(0..<first) + order.prefix(count).sorted()).map(Int32.init)
        #expect(found.positions == expected, "\(label), target \(target)")
        let mass = expected.reduce(0.0) { $0 + Double(masses[Int($1)]) }
        #expect(abs(found.mass - mass) <= 1e-12 * mass, "\(label), target \(target)")
    }

    /// Targets stand midway between two neighbouring sums, so that no order of adding can blur which count is the least.
    @Test(arguments: Masses.allCases, UInt64(1)...12) func takesWhatSortingTakes(kind: Masses, seed: UInt64) {
        let masses = kind.make(seed)
        var random = SeededGenerator(seed: seed &+ 1000)
        for first in [0, min(3, masses.count)] {
            let (order, sums) = Self.reference(masses, keepingFirst: first)
            let label = "\(kind), seed \(seed), first \(first)"
            for _ in 0..<20 where !order.isEmpty {
                let count = 1 + Int(random.next() % UInt64(order.count))
                // The small end of a huge range does not change the sum at all.
                guard sums[count] - sums[count - 1] > 1e-12 * sums[count] else { continue }
                Self.expect(masses, first: first, target: (sums[count - 1] + sums[count]) / 2, takes: count, of: order, label)
            }
            Self.expect(masses, first: first, target: sums.last! * 2 + 1, takes: order.count, of: order, label)
            Self.expect(masses, first: first, target: .infinity, takes: order.count, of: order, label)
            Self.expect(masses, first: first, target: 0, takes: 0, of: order, label)
            Self.expect(masses, first: first, target: sums[0], takes: 0, of: order, label)
        }
    }

    /// A target that a sum meets exactly is reached: masses of small integers add up without rounding.
    @Test(arguments: UInt64(1)...8) func aTargetMetExactlyIsReached(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let masses = (0..<400).map { _ in Float(random.next() % 6) }
        let (order, sums) = Self.reference(masses, keepingFirst: 0)
        for count in 1...order.count {
            Self.expect(masses, first: 0, target: sums[count], takes: count, of: order, "seed \(seed)")
            Self.expect(masses, first: 0, target: sums[count].nextUp, takes: min(count + 1, order.count), of: order, "seed \(seed)")
        }
    }

    /// The same order by counts: sorting says which are the heaviest, ties to the lower position.
    @Test(arguments: Masses.allCases, UInt64(1)...6) func theHeaviestAreWhatSortingTakes(kind: Masses, seed: UInt64) {
        let masses = kind.make(seed)
        for first in [0, min(3, masses.count)] {
            let (order, sums) = Self.reference(masses, keepingFirst: first)
            for count in Set([0, 1, 2, order.count / 3, order.count - 1, order.count, order.count + 5]) where count >= 0 {
                let found = FewestToReach(masses, keepingFirst: first).positions(heaviest: first + count)
                let expected = (Array(0..<first) + order.prefix(count).sorted()).map(Int32.init)
                #expect(found.positions == expected, "\(kind), seed \(seed), first \(first), count \(count)")
                let mass = sums[min(count, order.count)]
                #expect(abs(found.mass - mass) <= 1e-12 * mass)
            }
        }
    }

    @Test(arguments: Masses.allCases) func totalIsTheSum(kind: Masses) {
        for first in [0, 1] {
            let masses = kind.make(5)
            let sum = masses.reduce(0.0) { $0 + Double($1) }
            #expect(abs(FewestToReach(masses, keepingFirst: first).total - sum) <= 1e-12 * sum)
        }
    }

    @Test func emptyAndOversizedRequests() {
        #expect(FewestToReach([]).positions(reaching: 1).positions.isEmpty)
        #expect(FewestToReach([1, 2], keepingFirst: 9).positions(reaching: 100).positions == [0, 1])
        #expect(FewestToReach([0, 0, 0], keepingFirst: 1).positions(reaching: 1).positions == [0])
    }

    /// NaN has two signs (the one that x86 makes is negative), and the bits of neither may pass for a mass.
    @Test func brokenMassesHaveNoTotal() {
        for broken in [Float.nan, -.nan, .infinity, -.infinity] {
            for place in [0, 1, 20, 39] {
                var masses = [Float](repeating: 0.5, count: 40)
                masses[place] = broken
                for first in [0, 1, 30] { #expect(FewestToReach(masses, keepingFirst: first).total.isNaN, "\(broken) at \(place)") }
            }
        }
        #expect(FewestToReach([.greatestFiniteMagnitude, .leastNonzeroMagnitude, 0]).total.isFinite)
    }

    /// A model that went wrong must give a wrong answer, not a crash.
    @Test func brokenMassesDoNotTrap() {
        let masses: [Float] = [.nan, 1, -.nan, -2, .infinity, -0.0, .greatestFiniteMagnitude, .leastNonzeroMagnitude]
        for target in [0.5, 1e30, .infinity, .nan] {
            #expect(FewestToReach(masses).positions(reaching: target).positions.count <= masses.count)
        }
        for count in 0...9 { #expect(FewestToReach(masses).positions(heaviest: count).positions.count <= count) }
    }
}
