import AttentionCore
import SampleStatistics

/// How long several rounds of one thing took.
package struct Timing {
    /// All in one unit.
    package let rounds: [Double]

    package init(rounds: [Double]) { self.rounds = rounds }

    package var median: Double { Quantiles.median(rounds) }
    package var least: Double { rounds.min() ?? .nan }
    package var most: Double { rounds.max() ?? .nan }

    /// Milliseconds of several bodies, each done `rounds` times in turn, after one untimed round of all.
    package static func alternating<Failure: Error>(
        _ count: Int, rounds: Int, _ body: (_ index: Int) throws(Failure) -> Void
    ) throws(Failure) -> [Timing] {
        var times = [[Double]](repeating: [], count: count)
        for round in 0...rounds {
            for index in 0..<count {
                let start = ContinuousClock.now
                try body(index)
                if round > 0 { times[index].append((ContinuousClock.now - start).seconds * 1e3) }
            }
        }
        return times.map(Timing.init(rounds:))
    }
}
