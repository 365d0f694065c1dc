import Crypto

/// The SHA-256 (FIPS 180-4) of files read one after the other, as 64 lower-case hexadecimal digits.
///
/// The digest is that of the concatenated bytes: `cat` of the files through `sha256sum` gives the same.
func sha256(of files: [MappedFile]) -> String {
    var hash = SHA256()
    for file in files { hash.update(bufferPointer: file.bytes) }
    let digits = Array("0123456789abcdef")
    return String(hash.finalize().flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
}
