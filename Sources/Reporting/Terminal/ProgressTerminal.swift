import Glibc

/// Where a `ProgressBar` draws: what it knows of the terminal, and how it writes to it.
package struct ProgressTerminal: Sendable {
    /// What a progress bar writes.
    package enum Style: Sendable {
        /// One line that is drawn again and again: for terminals.
        case redrawn
        /// A line now and then: for files and pipes that someone reads later, or follows.
        case appended
        case silent
    }

    package let style: Style
    /// The terminal's width at this moment, in columns.
    package let columns: @Sendable () -> Int
    /// Writes text as it is.
    package let write: @Sendable (String) -> Void

    package init(
        style: Style, columns: @escaping @Sendable () -> Int = { 80 }, write: @escaping @Sendable (String) -> Void
    ) {
        self.style = style
        self.columns = columns
        self.write = write
    }

    /// The process's standard error: redrawn if that is a terminal, else appended. `SAMPLE_ATTENTION_PROGRESS=off` silences both.
    package static let standardError = ProgressTerminal(
        style: getenv("SAMPLE_ATTENTION_PROGRESS").map { String(cString: $0) } == "off"
            ? .silent : isatty(STDERR_FILENO) == 1 ? .redrawn : .appended,
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
