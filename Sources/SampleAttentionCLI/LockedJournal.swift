import AttentionCore
import DurableFiles
import Synchronization

/// A study's journal from the lock on its file to its last word. The file is locked before the machine is calibrated, which may take a
/// while: another study in its folder is refused at once.
final class LockedJournal<Header: JournalHeader, Record: Codable & Sendable>: Sendable {
    typealias Journal = ResultJournal<Header, Record>

    private struct State: ~Copyable {
        /// Until the journal is opened.
        var file: JournalFile?
        var journal: Journal?
    }

    private let state: Mutex<State>

    /// - Throws: `InputError` (`cannotCreate`) when another process holds the file, or without `resume` there is a journal in it.
    init(_ path: String, resume: Bool) throws(InputError) {
        let file = try JournalFile(path)
        if !resume { try Journal.requireRoom(in: file) }
        state = Mutex(State(file: consume file, journal: nil))
    }

    /// A last word waits until the journal is open: what is on the disk by then is what it speaks of.
    func open(_ make: (consuming JournalFile) throws -> Journal) throws -> Journal {
        try state.withLock { state in
            guard let file = state.file.take() else { preconditionFailure("a journal is opened once") }
            let made = try make(file)
            state.journal = made
            return made
        }
    }

    func lastWord() -> String {
        state.withLock { state in
            guard let journal = state.journal else {
                return "stopped before anything was measured for the study. Start again with the same command."
            }
            journal.settle()
            return "stopped; \(journal.path) is whole. Continue with the same command and --resume."
        }
    }
}
