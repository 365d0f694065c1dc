import Reporting
import Synchronization
import Testing

/// A clock that moves when told, and a terminal that remembers.
private final class Stage: Sendable {
    private let time = Mutex(Duration.seconds(1000))
    private let written = Mutex<[String]>([])

    var output: [String] { written.withLock { $0 } }
    func pass(_ span: Duration) { time.withLock { $0 += span } }

    func bar(_ label: String = "Tuning", total: Int, alreadyDone: Int = 0, style: ProgressTerminal.Style = .redrawn, columns: Int = 80)
        -> ProgressBar
    {
        ProgressBar(
            label, total: total, alreadyDone: alreadyDone,
            terminal: ProgressTerminal(
                style: style, columns: { columns }, write: { text in self.written.withLock { $0.append(text) } }),
            now: { self.time.withLock { $0 } })
    }
}

@Suite struct ProgressBarTests {
    @Test func showsPaceAndStatus() {
        let stage = Stage()
        let bar = stage.bar(total: 50)
        stage.pass(.seconds(24))
        bar.update(done: 12, status: "best 12.3 ms")
        #expect(
            stage.output == ["\rTuning  █████░░░░░░░░░░░░░░░░░░░  12/50  24 %  ETA 1 m 16 s  best 12.3 ms\u{1B}[K"])
    }

    @Test func staysAwayFromQuickJobs() {
        let stage = Stage()
        let bar = stage.bar(total: 10)
        stage.pass(.milliseconds(499))
        bar.update(done: 9)
        bar.finish()
        #expect(stage.output.isEmpty)
    }

    @Test func canBeSilenced() {
        let stage = Stage()
        let bar = stage.bar(total: 10, style: .silent)
        stage.pass(.seconds(500))
        bar.update(done: 5)
        bar.finish()
        #expect(stage.output.isEmpty)
    }

    /// Without a terminal: whole lines, one every ten seconds, and nothing to clear.
    @Test func appendsALineNowAndThen() {
        let stage = Stage()
        let bar = stage.bar(total: 100, style: .appended)
        for done in 1...50 {
            stage.pass(.milliseconds(500))
            bar.update(done: done)
        }
        bar.finish()
        #expect(
            stage.output == [
                "Tuning  ████░░░░░░░░░░░░░░░░░░░░  20/100  20 %  ETA 40 s\n", "Tuning  █████████░░░░░░░░░░░░░░░  40/100  40 %  ETA 30 s\n",
            ])
    }

    @Test func redrawsAtMostTenTimesASecond() {
        let stage = Stage()
        let bar = stage.bar(total: 1000)
        for done in 1...1000 {
            stage.pass(.milliseconds(10))
            bar.update(done: done)
        }
        // 10 s of updates, the first half second silent: at 0.5, 0.6, … 10.0 s.
        #expect(stage.output.count == 96)
    }

    @Test func finishClearsTheLineOnce() {
        let stage = Stage()
        let bar = stage.bar(total: 10)
        stage.pass(.seconds(1))
        bar.update(done: 5)
        bar.finish()
        bar.finish()
        stage.pass(.seconds(1))
        bar.update(done: 6)
        #expect(stage.output.count == 2)
        #expect(stage.output.last == "\r\u{1B}[K")
    }

    @Test func anAbandonedBarClearsItsLine() {
        let stage = Stage()
        do {
            let bar = stage.bar(total: 10)
            stage.pass(.seconds(1))
            bar.update(done: 5)
        }
        #expect(stage.output.last == "\r\u{1B}[K")
    }

    @Test func lateThreadsDoNotTurnItBack() {
        let stage = Stage()
        let bar = stage.bar(total: 10)
        stage.pass(.seconds(1))
        bar.update(done: 8)
        stage.pass(.seconds(1))
        bar.update(done: 3)
        #expect(stage.output.last?.contains("8/10") == true)
        stage.pass(.seconds(1))
        bar.update(done: 99)
        #expect(stage.output.last?.contains("10/10  100 %  ETA 0 s") == true)
    }

    @Test func countsEveryThread() async {
        let stage = Stage()
        let bar = stage.bar(total: 1001)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 { group.addTask { for _ in 0..<125 { bar.advance() } } }
        }
        stage.pass(.seconds(1))
        bar.advance()
        #expect(stage.output.count == 1)
        #expect(stage.output[0].contains("1001/1001"))
    }

    @Test func earlierWorkDoesNotSetThePace() {
        let remaining = ProgressBar.remaining
        #expect(remaining(.seconds(10), 20, 50, 0) == .seconds(15))
        #expect(remaining(.seconds(10), 20, 50, 10) == .seconds(30))
        #expect(remaining(.seconds(10), 10, 50, 10) == nil)
        #expect(remaining(.seconds(10), 50, 50, 0) == .zero)
    }

    @Test(arguments: [10, 24, 30, 40, 60, 80, 200])
    func neverWraps(columns: Int) {
        let stage = Stage()
        let bar = stage.bar("校正 a\u{1B}[31mb", total: 50, columns: columns)
        stage.pass(.seconds(24))
        bar.update(done: 12, status: "best\n12.3 ms")
        let line = stage.output[0].dropFirst().dropLast(3)
        #expect(DisplayWidth.of(String(line)) < columns)
        #expect(!line.contains("\u{1B}") && !line.contains("\n"))
    }

    @Test func nothingToDoHasNoShare() {
        let stage = Stage()
        let bar = stage.bar(total: 0)
        stage.pass(.seconds(1))
        bar.update(done: 0)
        #expect(stage.output.last?.contains("0/0\u{1B}[K") == true)
    }
}
