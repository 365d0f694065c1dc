/// A pointer that may cross threads, because every task only reads through it or writes a part of its own.
package struct SharedPointer<Pointee>: @unchecked Sendable {
    package let base: UnsafeMutablePointer<Pointee>

    package init(_ base: UnsafeMutablePointer<Pointee>) { self.base = base }
}
