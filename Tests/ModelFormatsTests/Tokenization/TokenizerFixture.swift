import Foundation
import ModelFormats

/// Builds small `tokenizer.json` files: the 256 bytes as ids 0…255 in byte order, then the given pieces.
struct TokenizerFixture {
    static let cased =
        #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"#
        + #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#

    /// The spelling of each byte, from GPT-2's definition.
    private static let alphabet: [Unicode.Scalar] = {
        let printable = Array(0x21...0x7E) + Array(0xA1...0xAC) + Array(0xAE...0xFF)
        let others = (0...255).filter { !printable.contains($0) }
        return (0...255).map { byte in Unicode.Scalar(UInt32(others.firstIndex(of: byte).map { 0x100 + $0 } ?? byte))! }
    }()

    /// The byte-level spelling of `text`.
    static func spelling(_ text: some Sequence<UInt8>) -> String {
        String(String.UnicodeScalarView(text.map { alphabet[Int($0)] }))
    }

    var root: [String: Any]

    init(pieces: [String] = [], merges: Any = [String](), pattern: String? = cased, ignoreMerges: Bool = false) {
        var vocabulary: [String: Int] = [:]
        for byte in 0...255 { vocabulary[Self.spelling([UInt8(byte)])] = byte }
        for (index, piece) in pieces.enumerated() { vocabulary[Self.spelling(piece.utf8)] = 256 + index }
        let byteLevel: [String: Any] = ["type": "ByteLevel", "add_prefix_space": false, "use_regex": pattern == nil]
        let split: [String: Any] = [
            "type": "Split", "behavior": "Isolated", "invert": false, "pattern": ["Regex": pattern ?? ""],
        ]
        let sequence: [String: Any] = ["type": "Sequence", "pretokenizers": [split, byteLevel]]
        root = [
            "added_tokens": [Any](), "normalizer": NSNull(), "pre_tokenizer": pattern == nil ? byteLevel : sequence,
            "decoder": ["type": "ByteLevel"],
            "model": ["type": "BPE", "vocab": vocabulary, "merges": merges, "ignore_merges": ignoreMerges] as [String: Any],
        ]
    }

    subscript(model member: String) -> Any? {
        get { (root["model"] as? [String: Any])?[member] }
        set {
            var model = root["model"] as? [String: Any] ?? [:]
            model[member] = newValue
            root["model"] = model
        }
    }

    var vocabulary: [String: Any] {
        get { self[model: "vocab"] as? [String: Any] ?? [:] }
        set { self[model: "vocab"] = newValue }
    }

    mutating func add(_ text: String, id: Int, special: Bool = true, normalized: Bool = false, flag: String? = nil) {
        var token: [String: Any] = ["id": id, "content": text, "special": special, "normalized": normalized]
        if let flag { token[flag] = true }
        root["added_tokens"] = (root["added_tokens"] as? [Any] ?? []) + [token]
    }

    func tokenizer(settings: String? = nil) throws -> Tokenizer {
        let directory = try TemporaryDirectory()
        let path = try directory.write(JSONSerialization.data(withJSONObject: root), to: "tokenizer.json")
        let settingsPath = try settings.map { try directory.write($0, to: "tokenizer_config.json") }
        return try Tokenizer(path: path, settingsPath: settingsPath)
    }
}
