import Synchronization

/// One line on a terminal that says how far a long job is, and how long it still takes.
///
///     Tuning  ███████░░░░░░░░░  12/50  24 %  ETA 1 m 20 s  best 12.3 ms
///
/// It appears after half a second and is redrawn at most ten times a second. Where the sink is no terminal, the same facts are a line
/// of their own every ten seconds.
/// Every method may be called from several threads; `done` never goes back, whatever order the threads arrive in.
package final class ProgressBar: Sendable {
    /// A job quicker than this shows no bar.
    package static let delay = Duration.milliseconds(500)
    /// The shortest time between two drawings.
    package static let interval = Duration.milliseconds(100)
    /// The time between two lines where there is no terminal, and before the first.
    package static let lineInterval = Duration.seconds(10)

    private struct State {
        var done: Int
        var status = ""
        var lastDrawn: Duration?
        var isFinished = false
    }

    private let label: String
    private let total: Int
    private let alreadyDone: Int
    private let terminal: ProgressTerminal
    private let now: @Sendable () -> Duration
    private let started: Duration
    private let state: Mutex<State>

    /// A bar for `total` units of work, `alreadyDone` of them by an earlier run: they count as done, but not towards the pace.
    ///
    /// - Parameters:
    ///   - terminal: where the line is drawn.
    ///   - now: a clock that never goes back; only differences of its readings are used.
    package init(
        _ label: String, total: Int, alreadyDone: Int = 0, terminal: ProgressTerminal = .standardError,
        now: @escaping @Sendable () -> Duration = ProgressBar.uptime
    ) {
        precondition(total >= 0 && (0...total).contains(alreadyDone), "0 ≤ alreadyDone ≤ total")
        self.label = DisplayWidth.singleLine(label)
        self.total = total
        self.alreadyDone = alreadyDone
        self.terminal = terminal
        self.now = now
        started = now()
        state = Mutex(State(done: alreadyDone))
    }

    deinit { finish() }

    /// Says that `done` units are done; fewer than already known changes nothing but the status, which nil leaves as it is.
    package func update(done: Int, status: String? = nil) {
        change(status: status) { $0 = max($0, min(done, total)) }
    }

    /// Says that `count` more units are done: for threads that do not know the whole.
    package func advance(by count: Int = 1, status: String? = nil) {
        precondition(count >= 0, "progress does not go back")
        change(status: status) { $0 = min(total, $0 + count) }
    }

    /// Clears the line for good; later calls do nothing.
    package func finish() {
        state.withLock { state in
            if terminal.style == .redrawn, state.lastDrawn != nil, !state.isFinished { terminal.write("\r\u{1B}[K") }
            state.isFinished = true
        }
    }

    /// The time that the rest takes at the pace so far; nil while there is no pace.
    ///
    /// `elapsed · (total − done) / (done − alreadyDone)`
    package static func remaining(elapsed: Duration, done: Int, total: Int, alreadyDone: Int = 0) -> Duration? {
        let paced = done - alreadyDone
        return paced > 0 ? elapsed * (Double(max(0, total - done)) / Double(paced)) : nil
    }

    /// The time since some fixed moment, by the system's continuous clock.
    package static let uptime: @Sendable () -> Duration = {
        let clock = ContinuousClock()
        let origin = clock.now
        return { origin.duration(to: clock.now) }
    }()

    private func change(status: String?, _ body: (inout Int) -> Void) {
        guard terminal.style != .silent else { return }
        state.withLock { state in
            guard !state.isFinished else { return }
            body(&state.done)
            if let status { state.status = DisplayWidth.singleLine(status) }
            let (time, isRedrawn) = (now(), terminal.style == .redrawn)
            guard time - started >= (isRedrawn ? Self.delay : Self.lineInterval) else { return }
            if let lastDrawn = state.lastDrawn, time - lastDrawn < (isRedrawn ? Self.interval : Self.lineInterval) { return }
            state.lastDrawn = time
            let line = line(state, elapsed: time - started)
            terminal.write(isRedrawn ? "\r" + line + "\u{1B}[K" : line + "\n")
        }
    }

    /// Fits the terminal with one column to spare, because a full line would wrap and could not be redrawn.
    private func line(_ state: State, elapsed: Duration) -> String {
        var parts = ["\(state.done)/\(total)"]
        if total > 0 { parts.append("\(Int(100 * Double(state.done) / Double(total))) %") }
        if let left = Self.remaining(elapsed: elapsed, done: state.done, total: total, alreadyDone: alreadyDone) {
            parts.append("ETA " + NumberFormat.duration(left))
        }
        if !state.status.isEmpty { parts.append(state.status) }
        let facts = parts.joined(separator: "  ")
        let columns = terminal.columns() - 1
        let room = columns - DisplayWidth.of(label) - DisplayWidth.of(facts) - 4
        let bar = room >= 6 ? "  " + bar(done: state.done, columns: min(room, 24)) : ""
        return DisplayWidth.truncated(label + bar + "  " + facts, to: columns)
    }

    private func bar(done: Int, columns: Int) -> String {
        let filled = total > 0 ? columns * done / total : 0
        return String(repeating: "█", count: filled) + String(repeating: "░", count: columns - filled)
    }
}
