import AttentionCore

/// A Swift object as C holds it: an opaque pointer that owns it until it is destroyed.
protocol Handle: AnyObject {}

extension Handle {
    /// Gives the object to the caller.
    func give(to place: UnsafeMutablePointer<OpaquePointer?>) {
        place.pointee = OpaquePointer(Unmanaged.passRetained(self).toOpaque())
    }

    /// The object of a handle that has not been destroyed.
    ///
    /// - Throws: `InputError` (`usage`) where there is none.
    static func of(_ pointer: OpaquePointer?, _ field: String) throws(InputError) -> Self {
        Unmanaged<Self>.fromOpaque(UnsafeRawPointer(try required(pointer, field))).takeUnretainedValue()
    }

    /// Takes the object back from the caller.
    static func destroy(_ pointer: OpaquePointer?) {
        if let pointer { Unmanaged<Self>.fromOpaque(UnsafeRawPointer(pointer)).release() }
    }
}
