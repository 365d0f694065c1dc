import ArgumentParser
import AttentionCore
import Foundation
import HaystackModel
import LanguageModels
import ModelFormats
import RunProvenance
import SampleAttention

/// Options of commands that read prompts from texts.
struct TextOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Text file, UTF-8; repeatable (default: the bundled books).", valueName: "file"))
    var text: [String] = []

    @Option(help: ArgumentHelp("Prompt length in tokens, begin-of-text included; repeatable.", valueName: "tokens"))
    var length: [Int] = []

    func texts(_ session: Session) throws(InputError) -> [PromptText] {
        try PromptText.distinct(text.isEmpty ? HaystackModel.texts.map(\.path) : text, session: session)
    }

    /// The lengths asked for, ascending and without repeats.
    func lengths(_ session: Session, default standard: [Int]) throws(InputError) -> [Int] {
        let lengths = Set(length.isEmpty ? standard : length).sorted()
        for length in lengths { try Self.check(length, session: session) }
        return lengths
    }

    static func check(_ length: Int, session: Session) throws(InputError) {
        guard (2...session.model.configuration.maximumPositions).contains(length) else {
            throw InputError(
                .usage, field: "length", value: "\(length)",
                rule: "must be from 2 to the model's max_position_embeddings of \(session.model.configuration.maximumPositions)")
        }
    }
}

/// A text file as tokens.
struct PromptText {
    let path: String
    /// For people: no other text of the same run has it. Programs tell texts apart by their digests.
    private(set) var name: String
    let sha256: String
    let content: String
    /// Without begin-of-text.
    let tokens: [Int32]
    private let beginOfText: [Int32]

    /// The texts of files in the order given, each text once; those whose files have one name are named so that it tells them apart.
    static func distinct(_ paths: [String], session: Session) throws(InputError) -> [PromptText] {
        var texts: [PromptText] = []
        for path in paths {
            let text = try PromptText(path: path, session: session)
            if let first = texts.first(where: { $0.sha256 == text.sha256 }) {
                Message.write("note: \(path) is the text of \(first.path); it is read once")
            } else {
                texts.append(text)
            }
        }
        let names = uniqueNames(texts)
        for index in texts.indices { texts[index].name = names[index] }
        return texts
    }

    /// File names; with the folder where two are the same, and with the start of the digest where that does not tell them apart.
    private static func uniqueNames(_ texts: [PromptText]) -> [String] {
        let names = texts.map(\.name)
        let longer = texts.map { URL(fileURLWithPath: $0.path).pathComponents.suffix(2).joined(separator: "/") }
        return texts.indices.map { index in
            if names.count(where: { $0 == names[index] }) == 1 { return names[index] }
            let isUnique = longer.count(where: { $0 == longer[index] }) == 1
            return isUnique ? longer[index] : "\(names[index]) (\(texts[index].sha256.prefix(8)))"
        }
    }

    private init(path: String, session: Session) throws(InputError) {
        content = try Self.read(path)
        self.path = path
        name = URL(fileURLWithPath: path).lastPathComponent
        sha256 = ModelFormats.sha256(ofText: content)
        tokens = session.model.tokenizer.encode(content)
        beginOfText = session.model.tokenizer.affixes.before
    }

    var identity: Provenance.Text { .init(name: name, sha256: sha256) }

    /// Begin-of-text and the tokens from `offset`, `length` in all.
    /// - Throws: `InputError` (`invalidData`) when the text is too short.
    func prompt(length: Int, offset: Int = 0) throws(InputError) -> [Int32] {
        let own = length - beginOfText.count
        guard offset + own <= tokens.count else {
            throw InputError(
                .invalidData, file: path, field: "text", value: "\(tokens.count) tokens",
                rule: "must hold the \(offset + own) tokens that a length of \(length)\(offset > 0 ? " at offset \(offset)" : "") needs")
        }
        return beginOfText + tokens[offset..<offset + own]
    }

    /// More is no text that a model reads, but a device or the wrong file.
    static let mostBytes = 1 << 30

    /// The text of a file, or of a pipe such as `/dev/stdin`. - Throws: `InputError` when it is missing, too large or not UTF-8.
    static func read(_ path: String) throws(InputError) -> String {
        let missing = InputError(.missingInput, file: path, rule: "the text must exist and be readable")
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw missing }
        defer { close(descriptor) }
        return try text(bytes(descriptor, of: path) { _ in missing }, of: path)
    }

    /// The text on standard input. - Throws: `InputError` when it is closed, a folder, too large or not UTF-8.
    static func readStandardInput() throws(InputError) -> String {
        let name = "standard input"
        return try text(
            bytes(STDIN_FILENO, of: name) { error in
                InputError(.inputOutput, file: name, rule: "cannot be read (\(String(cString: strerror(error))))")
            }, of: name)
    }

    /// Without a byte order mark.
    static func text(_ bytes: some Collection<UInt8>, of file: String) throws(InputError) -> String {
        try ForeignEncoding.refuse(bytes, file: file)
        guard let text = String(validating: ForeignEncoding.withoutByteOrderMark(bytes), as: UTF8.self) else {
            throw InputError(.invalidData, file: file, rule: "the text must be UTF-8")
        }
        return text
    }

    private static func bytes(
        _ descriptor: Int32, of file: String, failure: (_ error: Int32) -> InputError
    ) throws(InputError) -> [UInt8] {
        var bytes: [UInt8] = []
        let part = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
        defer { part.deallocate() }
        while bytes.count <= mostBytes {
            let count = Foundation.read(descriptor, part.baseAddress, part.count)
            if count < 0, errno == EINTR { continue }
            if count < 0 { throw failure(errno) }
            if count == 0 { return bytes }
            bytes += part[..<count]
        }
        throw InputError(.invalidData, file: file, rule: "the text must be at most \(mostBytes) bytes")
    }
}
