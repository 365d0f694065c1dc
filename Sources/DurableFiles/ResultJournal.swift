import AttentionCore
import Foundation
import Synchronization

/// What a journal is about: it continues only the work it was begun for.
public protocol JournalHeader: Codable, Sendable {
    /// The first field that two pieces of work disagree on, with both values; nil when one may continue the other.
    func difference(from other: Self) -> JournalDifference?
}

/// A field of a header on which a file and the work at hand disagree.
public struct JournalDifference: Hashable, Sendable {
    public let field, own, others: String

    public init(field: String, own: String, others: String) {
        self.field = field
        self.own = own
        self.others = others
    }

    /// The first of some fields whose two values differ.
    public static func first(of fields: [(field: String, own: String, others: String)]) -> JournalDifference? {
        fields.first { $0.own != $0.others }.map { JournalDifference(field: $0.field, own: $0.own, others: $0.others) }
    }
}

/// Results on disk, one JSON object a line, appended and synced as they come, so that a crash loses at most what is being
/// measured. The first line is a header.
public final class ResultJournal<Header: JournalHeader, Record: Codable & Sendable>: Sendable {
    public let path: String
    /// The file's: of a continued journal, the one it was begun with.
    public let header: Header
    /// Records found in the file when it was opened.
    public let recorded: [Record]
    private let file: Mutex<File>

    private struct File: ~Copyable {
        let handle: FileHandle
        var isSettled = false
    }

    /// Whether a journal may be begun at a path: work that measured nothing leaves nothing that is worth keeping.
    ///
    /// - Throws: `InputError` (`cannotCreate`) when a journal with records, or another file, is there.
    public static func requireRoom(at path: String) throws(InputError) {
        guard let existing = FileManager.default.contents(atPath: path), !existing.isEmpty else { return }
        let lines = existing.split(separator: UInt8(ascii: "\n"))
        guard lines.count == 1, (try? JSONDecoder().decode(Header.self, from: Data(lines[0]))) != nil else {
            throw InputError(.cannotCreate, file: path, rule: "a journal is there already: continue it with --resume, or remove it")
        }
    }

    /// Begins a journal, or with `resume` continues one: half a line at the end, which a crash leaves, is cut off.
    ///
    /// - Parameters:
    ///   - accept: how many of the file's records to keep, from the first; those after them are cut off too. Throws for records
    ///     that cannot be.
    /// - Throws: `InputError`: an existing journal with records without `resume` (nothing measured is overwritten), a journal of other work, a broken
    ///   line before the last, or a file that cannot be written.
    public init(
        path: String, header: Header, resume: Bool, accept: ([Record]) throws(InputError) -> Int = { $0.count }
    ) throws(InputError) {
        self.path = path
        if !resume { try Self.requireRoom(at: path) }
        let existing = FileManager.default.contents(atPath: path)
        if resume, let existing, !existing.isEmpty {
            let (begun, records, bytes) = try Self.read(existing, header: header, path: path, accept: accept)
            self.header = begun
            recorded = records
            file = Mutex(File(handle: try Self.open(path, keeping: bytes)))
            if bytes == 0 { try write(line(header)) }
        } else {
            self.header = header
            recorded = []
            guard FileManager.default.createFile(atPath: path, contents: nil) else {
                throw InputError(.cannotCreate, file: path, rule: "the journal must be writable")
            }
            file = Mutex(File(handle: try Self.open(path, keeping: 0)))
            try write(line(header))
        }
    }

    /// Appends records and waits until they are on the disk.
    /// - Throws: `InputError` (`inputOutput`) when the disk is full or fails.
    public func append(_ records: [Record]) throws(InputError) {
        var lines = Data()
        for record in records { lines += try line(record) }
        try write(lines)
    }

    /// Waits for a write under way and lets no other begin, so that the process may end without cutting a line.
    public func settle() { file.withLock { $0.isSettled = true } }

    /// Deletes the file: the work is done and its result is elsewhere. Nothing is written afterwards.
    public func discard() {
        settle()
        try? FileManager.default.removeItem(atPath: path)
    }

    private func write(_ lines: Data) throws(InputError) {
        do {
            try file.withLock { file in
                guard !file.isSettled else { return }
                try file.handle.write(contentsOf: lines)
                try file.handle.synchronize()
            }
        } catch {
            throw InputError(.inputOutput, file: path, rule: "the journal could not be written: \(error.localizedDescription)")
        }
    }

    /// - Throws: `InputError` (`invalidData`) naming the field that holds no finite number: JSON has no such numbers.
    private func line(_ value: some Encodable) throws(InputError) -> Data {
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

    /// Opens for appending after the last line that is kept.
    private static func open(_ path: String, keeping bytes: Int) throws(InputError) -> FileHandle {
        do {
            guard let handle = FileHandle(forUpdatingAtPath: path) else { throw CocoaError(.fileWriteNoPermission) }
            try handle.truncate(atOffset: UInt64(bytes))
            return handle
        } catch {
            throw InputError(.cannotCreate, file: path, rule: "the journal must be writable")
        }
    }

    /// The header, the records that are accepted, and the bytes up to the last of them.
    private static func read(
        _ existing: Data, header: Header, path: String, accept: ([Record]) throws(InputError) -> Int
    ) throws(InputError) -> (header: Header, records: [Record], bytes: Int) {
        let data = existing.lastIndex(of: UInt8(ascii: "\n")).map { existing[...$0] } ?? Data()
        let lines = data.split(separator: UInt8(ascii: "\n"))
        guard let first = lines.first else { return (header, [], 0) }
        let found = try decoded(Header.self, first, path: path, line: 1, rule: "must be the header of such a journal")
        if let difference = header.difference(from: found) {
            throw InputError(
                .configuration, file: path, field: "line 1, \(difference.field)", value: difference.others,
                rule: "must be \(difference.own): --resume continues the same work only")
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
                .invalidData, file: path, field: field, value: fault.value, rule: rule + (fault.rule.map { ": \($0)" } ?? ""))
        }
    }
}
