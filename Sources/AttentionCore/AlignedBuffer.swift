/// A fixed-size heap array, aligned to a cache line and zero-filled, owned by exactly one variable.
public struct AlignedBuffer<Element: BitwiseCopyable>: ~Copyable {
    /// The elements. Valid for the life of the buffer; who shares it across threads must write disjoint parts.
    public let elements: UnsafeMutableBufferPointer<Element>

    /// Bytes of alignment: one cache line, and one 512-bit vector.
    public static var alignment: Int { 64 }

    public init(count: Int) {
        precondition(count >= 0, "a buffer cannot have a negative count")
        let bytes = max(count, 1) * MemoryLayout<Element>.stride
        let raw = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: Self.alignment)
        raw.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
        elements = UnsafeMutableBufferPointer(start: raw.assumingMemoryBound(to: Element.self), count: count)
    }

    deinit { UnsafeMutableRawPointer(elements.baseAddress!).deallocate() }

    public var count: Int { elements.count }
    public var base: UnsafeMutablePointer<Element> { elements.baseAddress! }

    public subscript(index: Int) -> Element {
        get { elements[index] }
        nonmutating set { elements[index] = newValue }
    }
}

// The pointer is owned; concurrent use is governed by the disjoint-parts rule above.
extension AlignedBuffer: @unchecked Sendable {}
