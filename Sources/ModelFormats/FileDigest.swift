import Crypto
import Foundation

/// The SHA-256 (FIPS 180-4) of files read one after the other, as 64 lower-case hexadecimal digits.
///
/// The digest is that of the concatenated bytes: `cat` of the files through `sha256sum` gives the same.
func sha256(of files: [MappedFile]) -> String {
    var hash = SHA256()
    for file in files { hash.update(bufferPointer: file.bytes) }
    return hexadecimal(hash.finalize())
}

private func hexadecimal(_ digest: SHA256.Digest) -> String {
    let digits = Array("0123456789abcdef")
    return String(digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
}

/// The SHA-256 of a text's UTF-8 bytes, in hexadecimal.
public func sha256(ofText text: String) -> String { hexadecimal(SHA256.hash(data: Data(text.utf8))) }
