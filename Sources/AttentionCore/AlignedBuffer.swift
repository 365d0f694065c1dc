#if canImport(Glibc)
    import Glibc
#endif

/// A fixed-size heap array, aligned to a cache line and zero-filled, owned by exactly one variable.
///
/// Large ones are mapped on their own and ask for huge pages: rows that stand a stride apart then share few address
/// translations, and memory that is never touched is never taken.
public struct AlignedBuffer<Element: BitwiseCopyable>: ~Copyable {
    /// The elements. Valid for the life of the buffer; who shares it across threads must write disjoint parts.
    public let elements: UnsafeMutableBufferPointer<Element>

    /// Bytes of alignment: one cache line, and one 512-bit vector.
    public static var alignment: Int { 64 }

    public init(count: Int) {
        precondition(count >= 0, "a buffer cannot have a negative count")
        let bytes = max(count, 1) * MemoryLayout<Element>.stride
        let raw = PageMapping.isWorthwhile(bytes) ? PageMapping.map(bytes) : Self.allocate(bytes)
        elements = UnsafeMutableBufferPointer(start: raw.assumingMemoryBound(to: Element.self), count: count)
    }

    private static func allocate(_ bytes: Int) -> UnsafeMutableRawPointer {
        let raw = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: alignment)
        raw.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
        return raw
    }

    deinit {
        let raw = UnsafeMutableRawPointer(elements.baseAddress!)
        let bytes = max(elements.count, 1) * MemoryLayout<Element>.stride
        if PageMapping.isWorthwhile(bytes) { PageMapping.unmap(raw, bytes) } else { raw.deallocate() }
    }

    public var count: Int { elements.count }
    public var base: UnsafeMutablePointer<Element> { elements.baseAddress! }

    public subscript(index: Int) -> Element {
        get { elements[index] }
        nonmutating set { elements[index] = newValue }
    }
}

// The pointer is owned; concurrent use is governed by the disjoint-parts rule above.
extension AlignedBuffer: @unchecked Sendable {}

/// Memory straight from the system: zero when first touched, given back at once.
private enum PageMapping {
    private static let hugePage = 2 << 20

    #if canImport(Glibc)
        static func isWorthwhile(_ bytes: Int) -> Bool { bytes >= 2 * hugePage }

        /// Begins at a huge page's border. Traps when the system has no memory left.
        static func map(_ bytes: Int) -> UnsafeMutableRawPointer {
            let length = rounded(bytes)
            let room = mmap(nil, length + hugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
            guard let room, room != MAP_FAILED else { fatalError("out of memory: \(bytes) bytes") }
            let before = (hugePage - Int(bitPattern: room) % hugePage) % hugePage
            let start = room + before
            if before > 0 { munmap(room, before) }
            munmap(start + length, hugePage - before)
            // Only advice: without huge pages the memory is as good, and slower.
            _ = madvise(start, length, MADV_HUGEPAGE)
            return start
        }

        static func unmap(_ raw: UnsafeMutableRawPointer, _ bytes: Int) { munmap(raw, rounded(bytes)) }

        private static func rounded(_ bytes: Int) -> Int { (bytes + hugePage - 1) / hugePage * hugePage }
    #else
        static func isWorthwhile(_ bytes: Int) -> Bool { false }
        static func map(_ bytes: Int) -> UnsafeMutableRawPointer { preconditionFailure("only small buffers here") }
        static func unmap(_ raw: UnsafeMutableRawPointer, _ bytes: Int) {}
    #endif
}
