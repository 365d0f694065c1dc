import AttentionCore
import CSampleAttention

/// Runs what a C function does, and gives what went wrong as a status and one line in the caller's memory.
///
/// - Parameters:
///   - message: the caller's, or nil; written up to `capacity` bytes, the closing zero among them, when `body` throws.
func answer(
    _ message: UnsafeMutablePointer<CChar>?, _ capacity: Int, _ body: () throws(InputError) -> Void
) -> sample_attention_status {
    do throws(InputError) {
        try body()
        return sample_attention_status(SAMPLE_ATTENTION_OK)
    } catch {
        if let message, capacity > 0 { write(error.description, to: UnsafeMutableRawBufferPointer(start: message, count: capacity)) }
        return error.code.exitCode
    }
}

/// Gives the caller a handle, or nil and what went wrong.
func create(
    _ handle: UnsafeMutablePointer<OpaquePointer?>?, _ field: String, _ message: UnsafeMutablePointer<CChar>?, _ capacity: Int,
    _ make: () throws(InputError) -> some Handle
) -> sample_attention_status {
    answer(message, capacity) { () throws(InputError) in
        let place = try required(handle, field)
        place.pointee = nil
        try make().give(to: place)
    }
}

/// Writes a text and a zero, cut between characters where there is too little room; the rest stays as it is.
///
/// - Precondition: there is room for the zero.
func write(_ text: String, to room: UnsafeMutableRawBufferPointer) {
    var used = 0
    for character in text {
        let bytes = character.utf8
        guard used + bytes.count < room.count else { break }
        for byte in bytes {
            room[used] = byte
            used += 1
        }
    }
    room[used] = 0
}

/// What a pointer of the caller points to.
///
/// - Throws: `InputError` (`usage`) where it is nil.
func required<Pointer>(_ pointer: Pointer?, _ field: String) throws(InputError) -> Pointer {
    guard let pointer else { throw InputError(.usage, field: field, value: "NULL", rule: "must be given") }
    return pointer
}
