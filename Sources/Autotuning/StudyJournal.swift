import AttentionCore
import Foundation
import Synchronization

/// What a study is about: a journal continues only the study it was begun for.
public struct StudyHeader: Hashable, Sendable, Codable {
    public var schemaVersion = 1
    public var weightsSHA256: String
    public var textSHA256: [String]
    public var seed: UInt64
    public var trialsPerHead: Int

    public init(weightsSHA256: String, textSHA256: [String], seed: UInt64, trialsPerHead: Int) {
        self.weightsSHA256 = weightsSHA256
        self.textSHA256 = textSHA256
        self.seed = seed
        self.trialsPerHead = trialsPerHead
    }
}

/// Trials on disk, one JSON object a line, appended and synced as they finish, so that a crash loses at most the trials
/// being measured. The first line is the study's header.
public final class StudyJournal: Sendable {
    public let path: String
    private let handle: Mutex<FileHandle>
    /// Trials found in the file when it was opened.
    public let recorded: [FrozenTrial]

    /// Begins a journal, or with `resume` continues one.
    ///
    /// - Throws: `InputError`: an existing journal without `resume` (nothing is overwritten), a journal of another study,
    ///   a broken line before the last, or a file that cannot be written.
    public init(path: String, header: StudyHeader, resume: Bool) throws(InputError) {
        self.path = path
        let existing = FileManager.default.contents(atPath: path)
        if let existing, !existing.isEmpty {
            guard resume else {
                throw InputError(.cannotCreate, file: path, rule: "a journal is there already: continue it with --resume, or remove it")
            }
            let whole = existing.lastIndex(of: UInt8(ascii: "\n")).map { existing[...$0] } ?? Data()
            recorded = try Self.read(whole, header: header, path: path)
            handle = Mutex(try Self.open(path, keeping: whole.count))
            if whole.isEmpty { try append(header) }
        } else {
            recorded = []
            guard FileManager.default.createFile(atPath: path, contents: nil) else {
                throw InputError(.cannotCreate, file: path, rule: "the journal must be writable")
            }
            handle = Mutex(try Self.open(path, keeping: 0))
            try append(header)
        }
    }

    /// Appends trials and waits until they are on the disk.
    /// - Throws: `InputError` (`inputOutput`) when the disk is full or fails.
    public func append(_ trials: [FrozenTrial]) throws(InputError) {
        var lines = Data()
        for trial in trials { lines += Self.line(trial) }
        try write(lines)
    }

    /// Waits for a write under way, so that the process may end without cutting a line.
    public func settle() { handle.withLock { _ in } }

    private func append(_ header: StudyHeader) throws(InputError) { try write(Self.line(header)) }

    private func write(_ lines: Data) throws(InputError) {
        do {
            try handle.withLock { handle in
                try handle.write(contentsOf: lines)
                try handle.synchronize()
            }
        } catch {
            throw InputError(.inputOutput, file: path, rule: "the journal could not be written: \(error.localizedDescription)")
        }
    }

    private static func line(_ value: some Encodable) -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Records hold finite numbers only, so encoding cannot fail.
        return try! encoder.encode(value) + Data("\n".utf8)
    }

    /// Opens for appending after the last whole line: a half-written one is what a crash leaves.
    private static func open(_ path: String, keeping bytes: Int) throws(InputError) -> FileHandle {
        do {
            guard let handle = FileHandle(forUpdatingAtPath: path) else { throw CocoaError(.fileWriteNoPermission) }
            try handle.truncate(atOffset: UInt64(bytes))
            return handle
        } catch {
            throw InputError(.cannotCreate, file: path, rule: "the journal must be writable")
        }
    }

    private static func read(_ data: Data, header: StudyHeader, path: String) throws(InputError) -> [FrozenTrial] {
        let lines = data.split(separator: UInt8(ascii: "\n"))
        guard let first = lines.first else { return [] }
        guard let found = try? JSONDecoder().decode(StudyHeader.self, from: Data(first)) else {
            throw InputError(.invalidData, file: path, field: "line 1", rule: "must be a study header")
        }
        guard found == header else {
            throw InputError(
                .configuration, file: path, field: "line 1", value: "\(found)",
                rule: "must be a study of the same model, texts, seed and trials (\(header))")
        }
        var trials: [FrozenTrial] = []
        for (index, line) in lines.enumerated().dropFirst() {
            guard let trial = try? JSONDecoder().decode(FrozenTrial.self, from: Data(line)) else {
                throw InputError(.invalidData, file: path, field: "line \(index + 1)", rule: "must be a trial")
            }
            trials.append(trial)
        }
        return trials
    }
}
