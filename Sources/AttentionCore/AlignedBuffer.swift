#if canImport(Glibc)
    import Glibc
#else
    import Darwin
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

    /// Traps when the system does not give the memory; where the count comes from outside, see `init(extents:of:reserving:)`.
    public init(count: Int) {
        precondition(count >= 0, "a buffer cannot have a negative count")
        let bytes = max(count, 1) * MemoryLayout<Element>.stride
        guard let raw = Self.allocate(bytes, reserving: false) else { fatalError("out of memory: \(bytes) bytes") }
        elements = UnsafeMutableBufferPointer(start: raw.assumingMemoryBound(to: Element.self), count: count)
    }

    /// A buffer whose size follows from what a user asked for.
    ///
    /// - Parameters:
    ///   - extents: none is negative; their product is the count.
    ///   - purpose: what it holds, for the error.
    ///   - reserving: takes addresses now and memory where it is first written, however much there is: for room that may never be used.
    /// - Throws: `InputError` (`systemFailure`) with the bytes when the system does not give them.
    public init(extents: Int..., of purpose: String, reserving: Bool = false) throws(InputError) {
        precondition(extents.allSatisfy { $0 >= 0 }, "a buffer cannot have a negative extent")
        let stride = MemoryLayout<Element>.stride
        let size = (extents + [stride]).reduce((partialValue: 1, overflow: false)) { size, extent in
            let next = size.partialValue.multipliedReportingOverflow(by: extent)
            return (next.partialValue, size.overflow || next.overflow)
        }
        // Addresses themselves end far below 2^62 bytes.
        guard !size.overflow, size.partialValue < 1 << 62, let raw = Self.allocate(max(size.partialValue, stride), reserving: reserving)
        else {
            let sizes = (extents + [stride]).map { "\($0)" }.joined(separator: " · ")
            throw InputError(
                .systemFailure, field: purpose, value: size.overflow ? "\(sizes) bytes" : "\(size.partialValue) bytes",
                rule: "the system does not give so much memory")
        }
        elements = UnsafeMutableBufferPointer(start: raw.assumingMemoryBound(to: Element.self), count: size.partialValue / stride)
    }

    private static func allocate(_ bytes: Int, reserving: Bool) -> UnsafeMutableRawPointer? {
        if PageMapping.isWorthwhile(bytes) { return PageMapping.map(bytes, reserving: reserving) }
        var raw: UnsafeMutableRawPointer?
        guard posix_memalign(&raw, alignment, bytes) == 0, let raw else { return nil }
        raw.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
        return raw
    }

    deinit {
        let raw = UnsafeMutableRawPointer(elements.baseAddress!)
        let bytes = max(elements.count, 1) * MemoryLayout<Element>.stride
        if PageMapping.isWorthwhile(bytes) { PageMapping.unmap(raw, bytes) } else { free(raw) }
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

        /// Begins at a huge page's border. Nil when the system does not give the memory.
        static func map(_ bytes: Int, reserving: Bool) -> UnsafeMutableRawPointer? {
            let length = rounded(bytes)
            let flags = MAP_PRIVATE | MAP_ANONYMOUS | (reserving ? MAP_NORESERVE : 0)
            let room = mmap(nil, length + hugePage, PROT_READ | PROT_WRITE, flags, -1, 0)
            guard let room, room != MAP_FAILED else { return nil }
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
        static func map(_ bytes: Int, reserving: Bool) -> UnsafeMutableRawPointer? { preconditionFailure("only small buffers here") }
        static func unmap(_ raw: UnsafeMutableRawPointer, _ bytes: Int) {}
    #endif
}
