/// The fewest masses whose sum reaches a target: the heaviest first, ties to the lower position.
///
/// k = min { n : Σ of the n heaviest ≥ target }. A radix descent over the bit patterns, whose order is the order of positive
/// floats, finds the lightest mass that is still needed; nothing is sorted. Within one bucket all masses share their
/// exponent, so a bucket's sum is a sum of integers and exact; only sums of buckets round, in double precision.
///
/// Complexity: O(masses), three passes to find the threshold and two to collect positions, whatever the masses are.
/// Source: most-significant-digit radix sorting (Knuth, TAOCP 3, 5.2.5), entering only the bucket that holds the threshold.
package struct FewestToReach {
    /// The sum of all masses; not a number when one of them is not finite: then nothing that is chosen has a meaning.
    package let total: Double
    private let masses: [Float]
    /// Positions below this are kept whatever the target is, and count towards it.
    private let firstKept: Int
    private let firstMass: Double
    private let coarse: MassHistogram

    /// Counts the masses. O(masses).
    ///
    /// - Parameters:
    ///   - masses: not negative.
    ///   - firstKept: how many positions at the start are kept in any case.
    package init(_ masses: [Float], keepingFirst firstKept: Int = 0) {
        self.masses = masses
        self.firstKept = min(max(0, firstKept), masses.count)
        coarse = MassHistogram(digit: .exponent, prefix: 0, of: masses[self.firstKept...])
        firstMass = masses[..<self.firstKept].reduce(0) { $0 + Double($1) }
        total = Self.areFinite(masses) ? firstMass + coarse.total : .nan
    }

    /// The exponent of what is not finite is all ones; without a branch, so that masses are read in vectors.
    private static func areFinite(_ masses: [Float]) -> Bool {
        masses.withUnsafeBufferPointer { masses in
            masses.reduce(UInt32(0)) { $0 | (($1.bitPattern & 0x7FFF_FFFF) &+ 0x0080_0000) } < 1 << 31
        }
    }

    /// The `count` heaviest positions in ascending order, and their sum: those kept first among them, whatever they weigh.
    ///
    /// Fewer when fewer are kept first or have any mass. Complexity: O(masses), the same descent by counts.
    package func positions(heaviest count: Int) -> (positions: [Int32], mass: Double) {
        guard count > firstKept, let threshold = threshold(heaviest: count - firstKept) else { return firstPositions }
        let positions = collect(threshold)
        return (positions, positions.reduce(0) { $0 + Double(masses[Int($1)]) })
    }

    /// Positions in ascending order, and their sum. An infinite target, or one above the total, takes every positive mass.
    package func positions(reaching target: Double) -> (positions: [Int32], mass: Double) {
        guard firstMass < target, let (threshold, mass) = threshold(target) else { return firstPositions }
        return (collect(threshold), mass)
    }

    private var firstPositions: (positions: [Int32], mass: Double) { ((0..<Int32(firstKept)).map(\.self), firstMass) }

    /// The lightest mass that is kept.
    private struct Threshold {
        let bits: UInt32
        /// How many of the masses equal to it are kept.
        let ties: Int
    }

    /// The lightest that is needed, and the sum of all that is kept with it; nil when no mass is positive.
    private func threshold(_ target: Double) -> (Threshold, mass: Double)? {
        var histogram = coarse
        var bits: UInt32 = 0
        var kept = firstMass
        for digit in MassHistogram.Digit.allCases {
            if digit != .exponent { histogram = MassHistogram(digit: digit, prefix: bits, of: masses[firstKept...]) }
            guard let bucket = histogram.bucket(reaching: target, from: &kept) else { return nil }
            bits |= UInt32(bucket) << digit.shift
        }
        let equal = histogram.significands(bits) / Int(MassHistogram.significand(bits))
        let value = MassHistogram.value(bits)
        var ties = 1
        while ties < equal && kept + Double(ties) * value < target { ties += 1 }
        return (Threshold(bits: bits, ties: ties), kept + Double(ties) * value)
    }

    /// The lightest of the `count` heaviest, or the lightest of all when there are fewer; nil when no mass is positive.
    private func threshold(heaviest count: Int) -> Threshold? {
        var missing = count
        var bits: UInt32 = 0
        for digit in MassHistogram.Digit.allCases {
            let counts = MassHistogram.counts(digit: digit, prefix: bits, of: masses[firstKept...])
            guard var bucket = counts.indices.last(where: { counts[$0] > 0 }) else { return nil }
            while counts[bucket] < missing, let next = counts[..<bucket].lastIndex(where: { $0 > 0 }) {
                missing -= counts[bucket]
                bucket = next
            }
            missing = min(missing, counts[bucket])
            bits |= UInt32(bucket) << digit.shift
        }
        return Threshold(bits: bits, ties: missing)
    }

    private func collect(_ threshold: Threshold) -> [Int32] {
        masses.withUnsafeBufferPointer { masses in
            var heavier = 0
            for position in firstKept..<masses.count where MassHistogram.key(masses[position]) > threshold.bits { heavier &+= 1 }
            return Array(unsafeUninitializedCapacity: firstKept + heavier + threshold.ties) { positions, count in
                for position in 0..<firstKept { positions[position] = Int32(position) }
                count = firstKept
                var ties = threshold.ties
                for position in firstKept..<masses.count {
                    let key = MassHistogram.key(masses[position])
                    guard key >= threshold.bits else { continue }
                    if key == threshold.bits {
                        guard ties > 0 else { continue }
                        ties -= 1
                    }
                    positions[count] = Int32(position)
                    count += 1
                }
            }
        }
    }
}
