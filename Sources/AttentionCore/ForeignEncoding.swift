/// Bytes that are no plain UTF-8 text, though a text was meant.
package enum ForeignEncoding {
    private static let compressed: [(name: String, tool: String, start: [UInt8])] = [
        ("gzip", "gunzip", [0x1F, 0x8B]), ("Zstandard", "unzstd", [0x28, 0xB5, 0x2F, 0xFD]),
        ("xz", "unxz", [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00]), ("bzip2", "bunzip2", [0x42, 0x5A, 0x68]),
        ("zip", "unzip", [0x50, 0x4B, 0x03, 0x04]),
    ]
    private static let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

    /// - Throws: `InputError` (`invalidData`) for a compressed file, which says how it is unpacked.
    package static func refuse(_ bytes: some Collection<UInt8>, file: String) throws(InputError) {
        // "BZh" begins plain texts too; what follows it in bzip2 does not.
        guard let format = compressed.first(where: { bytes.starts(with: $0.start) }),
            format.name != "bzip2" || bytes.dropFirst(4).starts(with: [0x31, 0x41, 0x59, 0x26])
        else { return }
        throw InputError(
            .invalidData, file: file, rule: "is compressed (\(format.name)): must be plain text; unpack it with \(format.tool)")
    }

    /// The bytes without the mark that some editors put before a text.
    package static func withoutByteOrderMark<Bytes: Collection<UInt8>>(_ bytes: Bytes) -> Bytes.SubSequence {
        bytes.dropFirst(bytes.starts(with: byteOrderMark) ? byteOrderMark.count : 0)
    }
}
