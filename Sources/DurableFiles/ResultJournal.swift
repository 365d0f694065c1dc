import AttentionCore
import Foundation
import Synchronization

/// What a journal is about: it continues only the work it was begun for.
public protocol JournalHeader: Codable, Sendable {
    /// The first field that two pieces of work disagree on, with both values; nil when one may continue the other.
    func difference(from other: Self) -> JournalDifference?
}

/// Results on disk, one JSON object a line, appended and synced as they come, so that a crash loses at most what is being
/// measured. The first line is a header.
public final class ResultJournal<Header: JournalHeader, Record: Codable & Sendable>: Sendable {
    public let path: String
    /// The file's: of a continued journal, the one it was begun with.
    public let header: Header
    /// Records found in the file when it was opened.
    public let recorded: [Record]
    private let state: Mutex<State>

    private struct State: ~Copyable {
        var file: JournalFile
        var isSettled = false
    }

    /// Begins a journal, or with `resume` continues one: half a line at the end, which a crash leaves, is cut off. A journal that
    /// holds nothing but a header is begun anew either way, if `resume` does not continue it: nothing is lost with it.
    ///
    /// - Parameters:
    ///   - accept: how many of the file's records to keep, from the first; those after them are cut off too. Throws for records
    ///     that cannot be.
    /// - Throws: `InputError`: an existing journal without `resume` (nothing is overwritten), a journal that another process is
    ///   writing, one of other work, a broken line before the last, or a file that cannot be written.
    public init(
        path: String, header: Header, resume: Bool, accept: ([Record]) throws(InputError) -> Int = { $0.count }
    ) throws(InputError) {
        self.path = path
        var file = try JournalFile(path)
        let existing = try file.contents()
        if existing.isEmpty || !resume && Self.holdsOnlyAHeader(existing) {
            self.header = header
            recorded = []
            if !existing.isEmpty { try file.truncate(to: 0) }
            try file.append(Self.line(header, path: path))
        } else {
            guard resume else {
                throw InputError(.cannotCreate, file: path, rule: "a journal is there already: continue it with --resume, or remove it")
            }
            let (begun, records, bytes) = try Self.read(existing, header: header, path: path, accept: accept)
            self.header = begun
            recorded = records
            if bytes < existing.count { try file.truncate(to: bytes) }
            if bytes == 0 { try file.append(Self.line(header, path: path)) }
        }
        state = Mutex(State(file: file))
    }

    /// Appends records and waits until they are on the disk; of several either all are there or none.
    ///
    /// - Throws: `InputError`: `inputOutput` when the disk is full or fails; `internalFailure` for a record that JSON cannot hold.
    public func append(_ records: [Record]) throws(InputError) {
        var lines = Data()
        for record in records { lines += try Self.line(record, path: path) }
        try state.withLock { state throws(InputError) in
            if !state.isSettled { try state.file.append(lines) }
        }
    }

    /// Waits for a write under way and lets no other begin, so that the process may end without cutting a line.
    public func settle() { state.withLock { $0.isSettled = true } }

    /// Deletes the file: the work is done and its result is elsewhere. Nothing is written afterwards.
    public func discard() {
        state.withLock { state in
            state.isSettled = true
            state.file.remove()
        }
    }

    private static func holdsOnlyAHeader(_ data: Data) -> Bool {
        let lines = data.split(separator: UInt8(ascii: "\n"))
        return lines.count == 1 && (try? JSONDecoder().decode(Header.self, from: Data(lines[0]))) != nil
    }

    private static func line(_ value: some Encodable, path: String) throws(InputError) -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            return try encoder.encode(value) + Data("\n".utf8)
        } catch {
            throw InputError(.internalFailure, file: path, rule: "a record must hold finite numbers only")
        }
    }

    /// The header, the records that are accepted, and the bytes up to the last of them.
    private static func read(
        _ existing: Data, header: Header, path: String, accept: ([Record]) throws(InputError) -> Int
    ) throws(InputError) -> (header: Header, records: [Record], bytes: Int) {
        let data = existing.lastIndex(of: UInt8(ascii: "\n")).map { existing[...$0] } ?? Data()
        let lines = data.split(separator: UInt8(ascii: "\n"))
        guard let first = lines.first else { return (header, [], 0) }
        guard let found = try? JSONDecoder().decode(Header.self, from: Data(first)) else {
            throw InputError(.invalidData, file: path, field: "line 1", rule: "must be the header of such a journal")
        }
        if let difference = header.difference(from: found) {
            throw InputError(
                .configuration, file: path, field: "line 1, \(difference.field)", value: difference.others,
                rule: "must be \(difference.own): --resume continues the same work only")
        }
        var records: [Record] = []
        for (index, line) in lines.enumerated().dropFirst() {
            guard let record = try? JSONDecoder().decode(Record.self, from: Data(line)) else {
                throw InputError(.invalidData, file: path, field: "line \(index + 1)", rule: "must be a record of this journal")
            }
            records.append(record)
        }
        records = Array(records.prefix(try accept(records)))
        return (found, records, lines[records.count].endIndex + 1 - data.startIndex)
    }
}
