import Dispatch
import DurableFiles
import Foundation
import Synchronization

/// Ends the program on Ctrl-C or a polite kill, after a last word and after whatever must not be cut short; until `end()`.
final class Interruption {
    private let state = State()
    private var sources: [any DispatchSourceSignal] = []

    /// Locked while a last word is said, which is for good, and while handling ends: only one of the two happens.
    private final class State: Sendable {
        let hasEnded = Mutex(false)
    }

    /// - Parameter lastWord: runs on another thread, settles what is being written, and returns what to tell the user.
    init(lastWord: @escaping @Sendable () -> String) {
        for number in [SIGINT, SIGTERM] {
            #if canImport(Darwin)
                // Elsewhere Dispatch handles what it watches, and a signal ignored until then would be lost.
                signal(number, SIG_IGN)
            #endif
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global(qos: .userInteractive))
            source.setEventHandler { [state] in
                state.hasEnded.withLock { hasEnded in
                    if hasEnded { return }
                    // A progress line may stand there; it keeps what it said.
                    if Ranks.speaks { Message.write((isatty(STDERR_FILENO) == 1 ? "\n" : "") + lastWord()) }
                    // Workers are running: what ends with the program must not be torn down under them. Nothing is left to flush, for all
                    // output is written at once.
                    _exit(128 + number)
                }
            }
            source.resume()
            sources.append(source)
        }
    }

    /// Work whose results go to a journal, which a stop leaves whole.
    ///
    /// - Parameters:
    ///   - journal: nil when no folder was given for one.
    ///   - work: what is stopped, such as "a profile".
    convenience init<Header, Record>(_ journal: ResultJournal<Header, Record>?, work: String) {
        self.init {
            guard let journal else { return "stopped; with --output DIR \(work) can be continued." }
            journal.settle()
            return "stopped; \(journal.path) is whole. Continue with the same command and --resume."
        }
    }

    deinit { end() }

    /// To be called on the thread that made it. From here on signals do what they do to any program: nothing is left of which the last word would be true.
    func end() {
        state.hasEnded.withLock { $0 = true }
        if sources.isEmpty { return }
        for source in sources { source.cancel() }
        sources = []
        // Dispatch blocks the signals it watches, in the thread that began to watch them.
        var watched = sigset_t()
        sigemptyset(&watched)
        for number in [SIGINT, SIGTERM] {
            signal(number, SIG_DFL)
            sigaddset(&watched, number)
        }
        pthread_sigmask(SIG_UNBLOCK, &watched, nil)
    }
}
