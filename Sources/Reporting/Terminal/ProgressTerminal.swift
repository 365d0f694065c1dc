import Glibc

/// Where a `ProgressBar` draws: what it knows of the terminal, and how it writes to it.
public struct ProgressTerminal: Sendable {
    /// Whether anything is drawn at all.
    public let isTerminal: Bool
    /// The terminal's width at this moment, in columns.
    public let columns: @Sendable () -> Int
    /// Writes text as it is.
    public let write: @Sendable (String) -> Void

    public init(
        isTerminal: Bool, columns: @escaping @Sendable () -> Int = { 80 }, write: @escaping @Sendable (String) -> Void
    ) {
        self.isTerminal = isTerminal
        self.columns = columns
        self.write = write
    }

    /// The process's standard error, if that is a terminal.
    public static let standardError = ProgressTerminal(
        isTerminal: isatty(STDERR_FILENO) == 1,
        columns: {
            var size = winsize()
            let known = ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
            return known ? Int(size.ws_col) : 80
        },
        write: { text in
            // A progress line that cannot be written is not worth an error.
            var text = text
            text.withUTF8 { _ = Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
        })
}
