import AttentionCore

/// How long a study may take: what is left out when it is over, the study says.
final class TimeLimit {
    private let seconds: Double?
    private let elapsed: () -> Duration
    /// True once something was left out.
    private(set) var isReached = false

    /// - Parameter minutes: from now on; nil for no limit.
    init(minutes: Double?, clock: any Clock<Duration>) {
        seconds = minutes.map { 60 * $0 }
        elapsed = Self.stopwatch(clock)
    }

    private static func stopwatch<C: Clock>(_ clock: C) -> () -> Duration where C.Duration == Duration {
        let start = clock.now
        return { start.duration(to: clock.now) }
    }

    /// Asked before something is measured, which is left out when this says so.
    ///
    /// - Parameter share: of the limit, at which this kind of measurement ends.
    func isOver(_ share: Double) -> Bool {
        guard let seconds, elapsed().seconds > share * seconds else { return false }
        isReached = true
        return true
    }
}
