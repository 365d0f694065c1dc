import Dispatch
import Foundation

/// Ends the program on Ctrl-C or a polite kill, after a last word and after whatever must not be cut short.
final class Interruption {
    private var sources: [any DispatchSourceSignal] = []

    /// - Parameter lastWord: runs on another thread, settles what is being written, and returns what to tell the user.
    init(lastWord: @escaping @Sendable () -> String) {
        for number in [SIGINT, SIGTERM] {
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global(qos: .userInteractive))
            source.setEventHandler {
                // A progress line may stand there; it keeps what it said.
                Message.write((isatty(STDERR_FILENO) == 1 ? "\n" : "") + lastWord())
                exit(128 + number)
            }
            source.resume()
            sources.append(source)
        }
    }
}
