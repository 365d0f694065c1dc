import Foundation

/// The character map of SentencePiece (`precompiled_charsmap`): texts and what they become, such as NFKC with a few changes.
///
/// The bytes are the size of a double-array trie in bytes (UInt32), its units (UInt32 each), and the replacements, each ended by a zero byte;
/// the trie's values are positions in them. All little endian. Source: SentencePiece's `normalizer.cc` and the darts-clone trie; of several
/// texts that match, and of a character's scalars, what Hugging Face's `tokenizers` takes is taken.
struct CharacterMap: Sendable {
    private let units: [UInt32]
    private let replacements: [UInt8]

    /// - Returns: nil when the sizes do not fit.
    init?(_ bytes: [UInt8]) {
        func word(_ position: Int) -> UInt32 {
            (0..<4).reduce(0) { $0 | UInt32(bytes[position + $1]) << UInt32(8 * $1) }
        }
        guard bytes.count >= 8 else { return nil }
        let size = Int(word(0))
        guard size > 0, size % 4 == 0, size <= bytes.count - 4 else { return nil }
        units = (0..<size / 4).map { word(4 + 4 * $0) }
        replacements = Array(bytes[(4 + size)...])
    }

    /// How many times longer it can make a text at most: its longest replacement stands for one byte.
    var growth: Int { max(1, replacements.split(separator: 0).map(\.count).max() ?? 0) }

    static func bytes(base64 text: String) -> [UInt8]? { Data(base64Encoded: text).map { Array($0) } }

    /// Writes a stretch as it becomes: characters of up to five bytes as wholes where the map knows them, all others scalar by scalar.
    func normalize(_ range: Range<Int>, of scalars: TextScalars, into builder: inout PreparedText.Builder) {
        var position = range.lowerBound
        for character in String(decoding: scalars.bytes[range], as: UTF8.self) {
            let end = position + character.utf8.count
            if end - position < 6, let text = replacement(of: scalars.bytes[position..<end]) {
                builder.replace(position..<end, with: text)
                position = end
                continue
            }
            while position < end {
                let next = scalars.scalar(at: position).next
                if let text = replacement(of: scalars.bytes[position..<next]) {
                    builder.replace(position..<next, with: text)
                } else {
                    builder.copy(position..<next)
                }
                position = next
            }
        }
    }

    /// What the shortest known text that begins `text` becomes; nil when none is known.
    private func replacement(of text: Slice<UnsafeBufferPointer<UInt8>>) -> String? {
        guard let start = value(text), start < replacements.count else { return nil }
        let rest = replacements[start...]
        return String(decoding: rest.prefix { $0 != 0 }, as: UTF8.self)
    }

    /// The value of the shortest key that begins `text`.
    private func value(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> Int? {
        var node = Self.offset(units[0])
        for byte in text {
            node ^= Int(byte)
            guard node < units.count else { return nil }
            let unit = units[node]
            guard unit & (1 << 31 | 0xFF) == UInt32(byte) else { return nil }
            node ^= Self.offset(unit)
            guard node < units.count else { return nil }
            if unit & 1 << 8 != 0 { return Int(units[node] & (1 << 31 - 1)) }
        }
        return nil
    }

    /// How far, by exclusive or, a unit's children are.
    private static func offset(_ unit: UInt32) -> Int { Int(unit >> 10) << Int((unit & 1 << 9) >> 6) }
}
