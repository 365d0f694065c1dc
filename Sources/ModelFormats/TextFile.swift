import AttentionCore
import Foundation

/// Texts that people give: files, pipes and standard input, UTF-8.
package enum TextFile {
    /// More is no text that a model reads, but a device or the wrong file.
    package static let mostBytes = 1 << 30

    /// The text of a file, or of a pipe such as `/dev/stdin`. - Throws: `InputError` when it is missing, too large or not UTF-8.
    package static func read(_ path: String) throws(InputError) -> String {
        let missing = InputError(.missingInput, file: path, rule: "the text must exist and be readable")
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw missing }
        defer { close(descriptor) }
        return try text(bytes(descriptor, of: path) { _ in missing }, of: path)
    }

    /// The text on standard input. - Throws: `InputError` when it is closed, a folder, too large or not UTF-8.
    package static func readStandardInput() throws(InputError) -> String {
        let name = "standard input"
        return try text(
            bytes(STDIN_FILENO, of: name) { error in
                InputError(.inputOutput, file: name, rule: "cannot be read (\(String(cString: strerror(error))))")
            }, of: name)
    }

    /// Without a byte order mark.
    package static func text(_ bytes: some Collection<UInt8>, of file: String) throws(InputError) -> String {
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
