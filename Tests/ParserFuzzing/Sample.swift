import Foundation

/// A valid input: JSON documents, and how they stand in a file; or bytes.
struct Sample {
    enum Frame {
        /// One after the other, each on a line of its own.
        case lines
        /// One header after its length, before `data`.
        case safetensors(data: [UInt8])
        /// No documents, but these bytes.
        case bytes([UInt8])
    }

    var documents: [JSONTree]
    let frame: Frame

    init(_ documents: [JSONTree], frame: Frame = .lines) {
        self.documents = documents
        self.frame = frame
    }

    /// A format that is no JSON.
    init(bytes: [UInt8]) { self.init([], frame: .bytes(bytes)) }

    /// - Throws: for what is no JSON.
    init(json: String) throws { self.init([try JSONTree(parsing: Data(json.utf8))]) }

    /// - Throws: for lines that are no JSON.
    init(lines: Data) throws { self.init(try lines.split(separator: UInt8(ascii: "\n")).map { try JSONTree(parsing: Data($0)) }) }

    /// - Throws: for a header that is no JSON.
    init(safetensors: Data) throws {
        let length = safetensors.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        self.init([try JSONTree(parsing: safetensors[8..<8 + length])], frame: .safetensors(data: Array(safetensors[(8 + length)...])))
    }

    /// - Parameter headerLengthError: what the file says in place of its header's length.
    func bytes(headerLengthError: UInt64? = nil) -> [UInt8] {
        let text = Array(documents.map { $0.text + (documents.count > 1 ? "\n" : "") }.joined().utf8)
        let data: [UInt8]
        switch frame {
        case .lines: return text
        case .bytes(let bytes): return bytes
        case .safetensors(let behind): data = behind
        }
        let length = headerLengthError ?? UInt64(text.count)
        return withUnsafeBytes(of: length.littleEndian) { Array($0) } + text + data
    }
}
