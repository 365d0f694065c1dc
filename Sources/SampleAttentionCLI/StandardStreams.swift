import AttentionCore
import DurableFiles
import Foundation

/// The three streams that a program is given.
enum StandardStreams {
    /// Linux's O_PATH, which Swift does not import: a place in the file system without access to what is there.
    private static let pathOnly: Int32 = 0o10000000

    /// Files opened later must not take the numbers of streams that the caller has closed: results would be written into them. In their
    /// place stands something that can be neither read nor written, so that using them still fails.
    static func reserveClosed() {
        for descriptor in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] where fcntl(descriptor, F_GETFD) < 0 {
            // The lowest free number is taken, which is this one.
            _ = open("/", pathOnly | O_DIRECTORY)
        }
    }
}

/// Results, on standard output.
enum StandardOutput {
    /// Writes all of `bytes`, or ends the program with one line and exit code 74: a result that did not arrive is a failure.
    static func write(_ bytes: some Sequence<UInt8>) {
        guard Ranks.speaks else { return }
        let error = AtomicFile.writeAll(ContiguousArray(bytes), to: STDOUT_FILENO)
        guard error != 0 else { return }
        let failure = InputError(.inputOutput, file: "standard output", rule: "cannot be written (\(String(cString: strerror(error))))")
        Message.write("error: \(failure.description)")
        exit(failure.code.exitCode)
    }
}

/// Takes the place of Swift's `print`, which says nothing when the disk is full.
func print(_ text: String = "", terminator: String = "\n") { StandardOutput.write((text + terminator).utf8) }

/// Lines for people, on standard error.
enum Message {
    // Nobody is left to tell when standard error cannot be written.
    static func write(_ text: String) {
        if Ranks.speaks { _ = AtomicFile.writeAll(Array((text + "\n").utf8), to: STDERR_FILENO) }
    }
}
