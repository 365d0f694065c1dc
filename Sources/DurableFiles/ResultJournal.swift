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

    /// Whether a journal may be begun in a file: one that holds nothing but a header is begun anew, for nothing is lost with it.
    ///
    /// - Throws: `InputError` (`cannotCreate`) when a journal with records, or something else, is there.
    public static func requireRoom(in file: borrowing JournalFile) throws(InputError) {
        try requireRoom(file.contents(), path: file.path)
    }

    private static func requireRoom(_ existing: Data, path: String) throws(InputError) {
        guard existing.isEmpty || holdsOnlyAHeader(existing) else {
            throw InputError(
                .cannotCreate, file: path, rule: "a journal is there already: continue it, or remove it", remedy: .continueJournal)
        }
    }

    /// Begins a journal, or with `resume` continues one: half a line at the end, which a crash leaves, is cut off. Without it, see
    /// `requireRoom`.
    ///
    /// - Parameters:
    ///   - accept: how many of the file's records to keep, from the first; those after them are cut off too. Throws for records
    ///     that cannot be.
    /// - Throws: `InputError`: an existing journal with records without `resume` (nothing measured is overwritten), a journal that another
    ///   process is writing, one of other work, a broken line before the last, or a file that cannot be written.
    public convenience init(
        path: String, header: Header, resume: Bool, accept: ([Record]) throws(InputError) -> Int = { $0.count }
    ) throws(InputError) {
        try self.init(file: JournalFile(path), header: header, resume: resume, accept: accept)
    }

    /// As `init(path:header:resume:accept:)`, in a file that is locked already.
    public init(
        file: consuming JournalFile, header: Header, resume: Bool, accept: ([Record]) throws(InputError) -> Int = { $0.count }
    ) throws(InputError) {
        var file = consume file
        let path = file.path
        self.path = path
        let existing = try file.contents()
        if existing.isEmpty || !resume {
            try Self.requireRoom(existing, path: path)
            self.header = header
            recorded = []
            if !existing.isEmpty { try file.truncate(to: 0) }
            try file.append(Self.line(header, path: path))
        } else {
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
    /// - Throws: `InputError`: `inputOutput` when the disk is full or fails; `invalidData` for a number that is not finite, which JSON cannot hold.
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
            guard case EncodingError.invalidValue(let value, let context) = error else {
                throw InputError(.internalFailure, file: path, rule: "a record could not be written: \(error)")
            }
            throw InputError(
                .invalidData, file: path, field: context.codingPath.fieldName, value: "\(value)", rule: "must be a finite number")
        }
    }

    /// The header, the records that are accepted, and the bytes up to the last of them.
    private static func read(
        _ existing: Data, header: Header, path: String, accept: ([Record]) throws(InputError) -> Int
    ) throws(InputError) -> (header: Header, records: [Record], bytes: Int) {
        let data = existing.lastIndex(of: UInt8(ascii: "\n")).map { existing[...$0] } ?? Data()
        // Empty lines are lines too, so that an error names the line that an editor shows.
        let lines = data.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).dropLast()
        guard let first = lines.first else { return (header, [], 0) }
        let found = try decoded(Header.self, first, path: path, line: 1, rule: "must be the header of such a journal")
        if let difference = header.difference(from: found) {
            throw InputError(
                .configuration, file: path, field: "line 1, \(difference.field)", value: difference.others,
                rule: "must be \(difference.own): a journal continues the same work only")
        }
        var records: [Record] = []
        for (index, line) in lines.enumerated().dropFirst() {
            records.append(try decoded(Record.self, line, path: path, line: index + 1, rule: "must be a record of this journal"))
        }
        records = Array(records.prefix(try accept(records)))
        return (found, records, lines[records.count].endIndex + 1 - data.startIndex)
    }

    /// - Throws: `InputError` (`invalidData`) naming the line, and the field at fault where the line is JSON.
    private static func decoded<Value: Decodable>(
        _ type: Value.Type, _ line: Data, path: String, line number: Int, rule: String
    ) throws(InputError) -> Value {
        do {
            return try JSONDecoder().decode(Value.self, from: Data(line))
        } catch {
            let fault = DecodingFault(error)
            let field = fault.field.map { "line \(number), \($0)" } ?? "line \(number)"
            throw InputError(
                .invalidData, file: path, field: field, value: fault.value, rule: "\(rule): \(fault.rule ?? "it is not valid JSON")")
        }
    }
}
