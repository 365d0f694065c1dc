import AttentionCore
import CSampleAttention

/// A struct of the header, plain bytes, that begins with its own size, so that later versions may add fields at its end.
protocol VersionedStruct {
    init()
    var size: Int { get set }
}

extension sample_attention_engine_options: VersionedStruct {}
extension sample_attention_engine_info: VersionedStruct {}
extension sample_attention_config_info: VersionedStruct {}
extension sample_attention_certification: VersionedStruct {}
extension sample_attention_certificate: VersionedStruct {}
extension sample_attention_call: VersionedStruct {}
extension sample_attention_report: VersionedStruct {}

extension VersionedStruct {
    /// As C counts it, the padding at the end included.
    static var ownSize: Int { MemoryLayout<Self>.stride }

    /// No struct will be so large; who forgot to set the size has any number there.
    private static var largestSize: Int { 1 << 16 }

    /// The caller's struct; fields that it does not have yet are 0.
    ///
    /// - Throws: `InputError`: `usage` where the pointer is nil or no aligned struct, or the size cannot be; `unsupported` where it says
    ///   something in fields of a later version.
    static func read(_ pointer: UnsafePointer<Self>?, _ field: String) throws(InputError) -> Self {
        let bytes = try Self.bytes(UnsafeMutableRawPointer(mutating: pointer), field)
        var copy = Self()
        withUnsafeMutableBytes(of: &copy) {
            $0.baseAddress!.copyMemory(from: bytes.baseAddress!, byteCount: min(bytes.count, $0.count))
        }
        if bytes.count > ownSize, bytes[ownSize...].contains(where: { $0 != 0 }) {
            throw InputError(
                .unsupported, field: "\(field).size", value: "\(bytes.count)",
                rule: "this version knows the first \(ownSize) bytes, and those after them must be 0")
        }
        copy.size = bytes.count
        return copy
    }

    /// Writes as much of an answer as the caller's struct has room for, and leaves its size.
    ///
    /// - Throws: `InputError` (`usage`) where the pointer is nil or no aligned struct, or the size cannot be.
    func write(to pointer: UnsafeMutablePointer<Self>?, _ field: String) throws(InputError) {
        let bytes = try Self.bytes(pointer, field)
        var own = self
        own.size = bytes.count
        own.copy(to: bytes)
    }

    /// Writes as many bytes as there is room for.
    func copy(to room: UnsafeMutableRawBufferPointer) {
        withUnsafeBytes(of: self) { room.baseAddress!.copyMemory(from: $0.baseAddress!, byteCount: min($0.count, room.count)) }
    }

    /// The bytes of the caller's struct, as many as it says.
    private static func bytes(_ pointer: UnsafeMutableRawPointer?, _ field: String) throws(InputError) -> UnsafeMutableRawBufferPointer {
        let start = try required(pointer, field)
        try checkAlignment(start, to: MemoryLayout<Self>.alignment, field)
        let size = start.load(as: Int.self)
        guard (MemoryLayout<Int>.size...largestSize).contains(size) else {
            throw InputError(
                .usage, field: "\(field).size", value: "\(UInt(bitPattern: size))", rule: "must be sizeof of the struct, \(ownSize)")
        }
        return UnsafeMutableRawBufferPointer(start: start, count: size)
    }
}

/// - Throws: `InputError` (`usage`) where an address is no multiple of `alignment`.
func checkAlignment(_ pointer: UnsafeRawPointer, to alignment: Int, _ field: String) throws(InputError) {
    guard UInt(bitPattern: pointer) % UInt(alignment) == 0 else {
        throw InputError(
            .usage, field: field, value: "0x\(String(UInt(bitPattern: pointer), radix: 16))",
            rule: "must be a multiple of \(alignment) bytes")
    }
}
