import COpenSSL
import Foundation

/// The SHA-256 (FIPS 180-4) of files read one after the other, as 64 lower-case hexadecimal digits.
///
/// The digest is that of the concatenated bytes: `cat` of the files through `sha256sum` gives the same.
func sha256(of files: [MappedFile]) -> String { sha256(files.map(\.bytes)) }

/// The SHA-256 of a text's UTF-8 bytes, in hexadecimal.
public func sha256(ofText text: String) -> String {
    var text = text
    return text.withUTF8 { sha256([UnsafeRawBufferPointer($0)]) }
}

/// The SHA-256 of a value as canonical JSON (UTF-8, sorted keys, no spaces), in hexadecimal: equal for values that encode alike,
/// whatever their types are called and however their fields are ordered.
///
/// - Precondition: every number of the value is finite.
public func sha256(ofJSON value: some Encodable) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let data = try! encoder.encode(value)
    return data.withUnsafeBytes { sha256([$0]) }
}

private func sha256(_ parts: [UnsafeRawBufferPointer]) -> String {
    let context = EVP_MD_CTX_new()
    defer { EVP_MD_CTX_free(context) }
    var digest = [UInt8](repeating: 0, count: 32)
    // Fails only without memory, or where OpenSSL was built or configured without SHA-256.
    var isDone = EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1
    for part in parts { isDone = isDone && EVP_DigestUpdate(context, part.baseAddress, part.count) == 1 }
    precondition(isDone && EVP_DigestFinal_ex(context, &digest, nil) == 1, "OpenSSL must provide SHA-256")
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
}
