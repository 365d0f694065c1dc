import AttentionCore
import Foundation

/// Results, on standard output.
enum StandardOutput {
    /// Writes all of `bytes`, or ends the program with one line and exit code 74: a result that did not arrive is a failure.
    static func write(_ bytes: some Sequence<UInt8>) {
        let error = writeAll(bytes, to: STDOUT_FILENO)
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
    static func write(_ text: String) { _ = writeAll((text + "\n").utf8, to: STDERR_FILENO) }
}

/// Writes until nothing is left; returns 0 or the error number.
private func writeAll(_ bytes: some Sequence<UInt8>, to descriptor: Int32) -> Int32 {
    ContiguousArray(bytes).withUnsafeBytes { buffer in
        var rest = buffer[...]
        while !rest.isEmpty {
            let count = write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
            if count < 0, errno == EINTR { continue }
            if count < 0 { return errno }
            rest = rest.dropFirst(count)
        }
        return 0
    }
}
