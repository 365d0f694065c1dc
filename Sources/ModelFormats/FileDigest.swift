import COpenSSL
import Foundation

/// A SHA-256 (FIPS 180-4) of parts that are added one after the other.
package struct Digest: ~Copyable {
    private let context = EVP_MD_CTX_new()
    private var isSound: Bool

    package init() { isSound = EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1 }

    deinit { EVP_MD_CTX_free(context) }

    package mutating func add(_ bytes: UnsafeRawBufferPointer) {
        isSound = isSound && EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) == 1
    }

    package mutating func add(_ text: String) {
        var text = text
        text.withUTF8 { add(UnsafeRawBufferPointer($0)) }
    }

    /// 64 lower-case digits.
    package consuming func hexadecimal() -> String {
        var digest = [UInt8](repeating: 0, count: 32)
        isSound = isSound && EVP_DigestFinal_ex(context, &digest, nil) == 1
        // Fails only without memory, or where OpenSSL was built or configured without SHA-256.
        precondition(isSound, "OpenSSL must provide SHA-256")
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}

/// The SHA-256 of a file, in hexadecimal.
func sha256(of file: MappedFile) -> String {
    var digest = Digest()
    digest.add(file.bytes)
    return digest.hexadecimal()
}

/// The SHA-256 of a text's UTF-8 bytes, in hexadecimal.
public func sha256(ofText text: String) -> String {
    var digest = Digest()
    digest.add(text)
    return digest.hexadecimal()
}

/// The SHA-256 of a value as canonical JSON (UTF-8, sorted keys, no spaces), in hexadecimal: equal for values that encode alike,
/// whatever their types are called and however their fields are ordered.
///
/// - Precondition: every number of the value is finite.
public func sha256(ofJSON value: some Encodable) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let data = try! encoder.encode(value)
    var digest = Digest()
    data.withUnsafeBytes { digest.add($0) }
    return digest.hexadecimal()
}
