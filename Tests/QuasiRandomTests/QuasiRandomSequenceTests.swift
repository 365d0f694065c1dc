import QuasiRandom
import Testing

@Suite struct QuasiRandomSequenceTests {
    @Test(arguments: QuasiRandomSequence.Family.allCases) func quasiRandomPointsAreSeededAndEven(_ family: QuasiRandomSequence.Family) {
        let first = QuasiRandomSequence(family, dimensions: 3, seed: 1)
        let again = QuasiRandomSequence(family, dimensions: 3, seed: 1)
        let other = QuasiRandomSequence(family, dimensions: 3, seed: 2)
        let points = (0..<256).map { _ in first.next() }
        #expect(points == (0..<256).map { _ in again.next() })
        #expect(points != (0..<256).map { _ in other.next() })
        for axis in 0..<3 {
            // Of 256 points every eighth of an axis holds 32, give or take the wrap of the shift.
            var counts = [Int](repeating: 0, count: 8)
            for point in points { counts[Int(point[axis] * 8)] += 1 }
            #expect(counts.allSatisfy { abs($0 - 32) <= 2 }, "\(counts)")
        }
    }
}
