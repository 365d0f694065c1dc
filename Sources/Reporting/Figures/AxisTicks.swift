import Glibc

/// The round numbers that an axis marks.
package enum AxisTicks {
    /// Multiples of 1, 2 or 5 times a power of ten that lie in `range`: the finest of these with at most `most` of them.
    package static func linear(in range: ClosedRange<Double>, atMost most: Int) -> [Double] {
        let step = step(for: range, atMost: most)
        return multiples(of: step, in: range)
    }

    /// The distance between neighbouring linear ticks.
    package static func step(for range: ClosedRange<Double>, atMost most: Int) -> Double {
        precondition(most >= 2, "an axis has at least two ticks")
        let span = range.upperBound - range.lowerBound
        precondition(span > 0 && span.isFinite, "an axis has an extent")
        var power = floor(log10(span / Double(most))) - 1
        while true {
            for factor in [1.0, 2, 5] {
                // Dividing by a power of ten is exact where multiplying by its inverse is not: 3 / 10, not 3 · 0.1.
                let step = power < 0 ? factor / pow(10, -power) : factor * pow(10, power)
                if multiples(of: step, in: range).count <= most { return step }
            }
            power += 1
        }
    }

    /// Powers of `base` in `range`, every second, third … of them when there are more than `most`. With base 10, 2 and 5 times the
    /// powers join them, or 3 times the powers, where all of these fit; so a range of a decade or more has ticks at even distances.
    package static func logarithmic(in range: ClosedRange<Double>, base: Double, atMost most: Int) -> [Double] {
        precondition(range.lowerBound > 0, "a logarithm needs positive numbers")
        let first = Int(floor(log(range.lowerBound) / log(base))) - 1
        let last = Int(ceil(log(range.upperBound) / log(base))) + 1
        for factors in base == 10 ? [[1.0, 2, 5], [1, 3]] : [] {
            let fine = (first...last).flatMap { exponent in factors.map { $0 * pow(base, Double(exponent)) } }.filter(range.contains)
            if fine.count <= most { return fine }
        }
        let powers = (first...last).map { pow(base, Double($0)) }.filter(range.contains)
        let stride = (powers.count + most - 1) / most
        return powers.enumerated().filter { $0.offset.isMultiple(of: max(1, stride)) }.map(\.element)
    }

    private static func multiples(of step: Double, in range: ClosedRange<Double>) -> [Double] {
        let first = (range.lowerBound / step - 1e-9).rounded(.up)
        let last = (range.upperBound / step + 1e-9).rounded(.down)
        guard first <= last else { return [] }
        guard last - first < 1000 else { return Array(repeating: 0, count: 1000) }
        // Adding zero turns minus zero into zero.
        return stride(from: first, through: last, by: 1).map { index in
            let inverse = (1 / step).rounded()
            return (step < 1 && inverse < 1e15 ? index / inverse : index * step) + 0
        }
    }
}
