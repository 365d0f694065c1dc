/// The 256 printable characters that byte-level BPE writes bytes with in `tokenizer.json`.
///
/// Printable Latin-1 characters stand for themselves, the other 68 bytes for U+0100, U+0101 … in order: a space is "Ġ".
/// Source: Radford et al., "Language Models are Unsupervised Multitask Learners" (GPT-2), §2.2 and its released encoder.
enum ByteAlphabet {
    /// The character of each byte.
    static let spellings: [Unicode.Scalar] = {
        var next: UInt32 = 0x100
        return (0...255).map { byte in
            if 0x21...0x7E ~= byte || 0xA1...0xAC ~= byte || 0xAE...0xFF ~= byte { return Unicode.Scalar(UInt8(byte)) }
            defer { next += 1 }
            return Unicode.Scalar(next)!
        }
    }()

    /// The byte each scalar below U+0144 stands for.
    private static let bytes: [UInt8?] = {
        var table = [UInt8?](repeating: nil, count: 0x144)
        for (byte, scalar) in spellings.enumerated() { table[Int(scalar.value)] = UInt8(byte) }
        return table
    }()

    /// The bytes `text` stands for, or nil when it holds a character outside the alphabet.
    static func decode(_ text: String) -> [UInt8]? {
        var result: [UInt8] = []
        for scalar in text.unicodeScalars {
            guard scalar.value < 0x144, let byte = bytes[Int(scalar.value)] else { return nil }
            result.append(byte)
        }
        return result
    }
}
