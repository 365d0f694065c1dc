import AttentionCore
import AttentionKernels
import Foundation
import SampleAttention
import Synchronization

/// What a study is about: a journal continues only the study it was begun for.
public struct StudyHeader: Hashable, Sendable, Codable {
    public var schemaVersion = 1
    public var model: TunedConfig.ModelIdentity
    public var textSHA256: [String]
    public var seed: UInt64
    public var trialsPerHead: Int
    public var space: SearchSpace
    /// Other instructions, and other operands, round differently, and a study must be repeatable.
    public var instructionSet: String
    public var precision: Precision

    public init(
        model: TunedConfig.ModelIdentity, textSHA256: [String], seed: UInt64, trialsPerHead: Int, space: SearchSpace,
        instructionSet: String, precision: Precision
    ) {
        self.model = model
        self.textSHA256 = textSHA256
        self.seed = seed
        self.trialsPerHead = trialsPerHead
        self.space = space
        self.instructionSet = instructionSet
        self.precision = precision
    }

    /// The first field that two studies disagree on, with both values.
    fileprivate func difference(from other: StudyHeader) -> (field: String, own: String, others: String)? {
        func texts(_ header: StudyHeader) -> String { header.textSHA256.map { String($0.prefix(12)) }.joined(separator: ", ") }
        let fields = [
            ("schemaVersion", "\(schemaVersion)", "\(other.schemaVersion)"), ("model", model.summary, other.model.summary),
            ("textSHA256", texts(self), texts(other)), ("seed", "\(seed)", "\(other.seed)"),
            ("trialsPerHead", "\(trialsPerHead)", "\(other.trialsPerHead)"), ("space", "\(space)", "\(other.space)"),
            ("instructionSet", instructionSet, other.instructionSet), ("precision", precision.rawValue, other.precision.rawValue),
        ]
        return fields.first { $0.1 != $0.2 }
    }
}

/// Trials on disk, one JSON object a line, appended and synced as they finish, so that a crash loses at most the trials
/// being measured. The first line is the study's header.
public final class StudyJournal: Sendable {
    public let path: String
    private let file: Mutex<File>
    /// Trials found in the file when it was opened.
    public let recorded: [FrozenTrial]

    private struct File: ~Copyable {
        let handle: FileHandle
        var isSettled = false
    }

    /// Begins a journal, or with `resume` continues one.
    ///
    /// What a crash leaves at the end, half a line or a trial of some heads only, is cut off: that trial is measured again.
    ///
    /// Every `append` brings one trial of each of the model's query heads.
    ///
    /// - Throws: `InputError`: an existing journal without `resume` (nothing is overwritten), a journal of another study,
    ///   a broken line before the last, trials out of order, or a file that cannot be written.
    public init(path: String, header: StudyHeader, resume: Bool) throws(InputError) {
        self.path = path
        let existing = FileManager.default.contents(atPath: path)
        if let existing, !existing.isEmpty {
            guard resume else {
                throw InputError(.cannotCreate, file: path, rule: "a journal is there already: continue it with --resume, or remove it")
            }
            let whole = existing.lastIndex(of: UInt8(ascii: "\n")).map { existing[...$0] } ?? Data()
            let (trials, bytes) = try Self.read(whole, header: header, path: path)
            recorded = trials
            file = Mutex(File(handle: try Self.open(path, keeping: bytes)))
            if bytes == 0 { try append(header) }
        } else {
            recorded = []
            guard FileManager.default.createFile(atPath: path, contents: nil) else {
                throw InputError(.cannotCreate, file: path, rule: "the journal must be writable")
            }
            file = Mutex(File(handle: try Self.open(path, keeping: 0)))
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

    /// Waits for a write under way and lets no other begin, so that the process may end without cutting a line.
    public func settle() { file.withLock { $0.isSettled = true } }

    private func append(_ header: StudyHeader) throws(InputError) { try write(Self.line(header)) }

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

    /// The trials of all heads, and the bytes up to the last of them.
    private static func read(
        _ data: Data, header: StudyHeader, path: String
    ) throws(InputError) -> (trials: [FrozenTrial], bytes: Int) {
        let heads = header.model.queryHeads
        let lines = data.split(separator: UInt8(ascii: "\n"))
        guard let first = lines.first else { return ([], 0) }
        guard let found = try? JSONDecoder().decode(StudyHeader.self, from: Data(first)) else {
            throw InputError(.invalidData, file: path, field: "line 1", rule: "must be a study header")
        }
        if let (field, theirs, own) = found.difference(from: header) {
            throw InputError(
                .configuration, file: path, field: "line 1, \(field)", value: theirs,
                rule: "must be \(own): --resume continues a study of the same model, texts, seed, trials, space and instructions")
        }
        var trials: [FrozenTrial] = []
        for (index, line) in lines.enumerated().dropFirst() {
            guard let trial = try? JSONDecoder().decode(FrozenTrial.self, from: Data(line)) else {
                throw InputError(.invalidData, file: path, field: "line \(index + 1)", rule: "must be a trial")
            }
            trials.append(trial)
        }
        trials.removeLast(trials.count % heads)
        try checkOrder(trials, heads: heads, trialsPerHead: header.trialsPerHead, path: path)
        return (trials, lines[trials.count].endIndex + 1 - data.startIndex)
    }

    /// The journal grows by all heads of a layer's next trial; counting on that decides what is still to be measured.
    private static func checkOrder(_ trials: [FrozenTrial], heads: Int, trialsPerHead: Int, path: String) throws(InputError) {
        struct Layer: Hashable { let length, layer: Int }
        var next: [Layer: Int] = [:]
        for (index, trial) in trials.enumerated() {
            let layer = Layer(length: trial.length, layer: trial.layer)
            let number = next[layer, default: 0]
            let head = index % heads
            guard trial.head == head, trial.number == number, number < trialsPerHead else {
                throw InputError(
                    .invalidData, file: path, field: "line \(index + 2)",
                    value: "trial \(trial.number) of layer \(trial.layer), head \(trial.head)",
                    rule: "must be the next trial of its layer's next head")
            }
            if head == heads - 1 { next[layer] = number + 1 }
        }
    }
}
