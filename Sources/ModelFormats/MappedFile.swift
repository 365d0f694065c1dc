import AttentionCore
import Foundation

/// A file's bytes, mapped read-only into memory for as long as the object lives.
///
/// Pages are read when they are first touched, so opening a 16 GB file costs nothing. A file that another program
/// shortens while it is mapped cannot be guarded against; do not overwrite a model in place while it is in use.
public final class MappedFile: @unchecked Sendable {  // Immutable after init; the mapping is never written.
    /// The path as it was given; every error about the contents names it.
    public let path: String
    /// The whole file. Valid only while this object lives.
    public let bytes: UnsafeRawBufferPointer

    /// Maps the regular file at `path`.
    ///
    /// - Throws: `InputError` (`missingInput`) when there is no such file, (`invalidData`) when it is empty, (`inputOutput`) when it
    ///   is not a regular file or cannot be read.
    public init(_ path: String) throws(InputError) {
        // O_NONBLOCK: opening a named pipe must fail below, not wait for a writer.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw Self.failure(path, errno) }
        defer { close(descriptor) }
        let size = try Self.size(of: descriptor, path: path)
        guard let base = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), base != MAP_FAILED else {
            throw Self.failure(path, errno)
        }
        self.path = path
        bytes = UnsafeRawBufferPointer(start: base, count: size)
    }

    /// A file that Git Large File Storage has not fetched: a few lines of text in its place.
    ///
    /// Source: the git-lfs pointer file specification.
    var isLargeFilePointer: Bool { bytes.starts(with: "version https://git-lfs.github.com/spec/".utf8) }

    /// - Throws: `InputError` (`invalidData`) when the file's content is not there.
    func checkContent() throws(InputError) {
        guard isLargeFilePointer else { return }
        throw InputError(
            .invalidData, file: path, value: "a git-lfs pointer", rule: "the file itself must be there: fetch it with git lfs pull")
    }

    /// Tells the system that a part of the file need not stay in memory; it is read again when it is touched.
    func release(_ part: UnsafeRawBufferPointer) {
        guard let base = part.baseAddress, !part.isEmpty else { return }
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        // Pages that the part fills only partly belong to its neighbours too.
        let first = (Int(bitPattern: base) + page - 1) / page * page
        let end = (Int(bitPattern: base) + part.count) / page * page
        guard first < end, let start = UnsafeMutableRawPointer(bitPattern: first) else { return }
        madvise(start, end - first, MADV_DONTNEED)
    }

    deinit { munmap(UnsafeMutableRawPointer(mutating: bytes.baseAddress!), bytes.count) }

    private static func size(of descriptor: Int32, path: String) throws(InputError) -> Int {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure(path, errno) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw InputError(.inputOutput, file: path, rule: "must be a regular file")
        }
        guard status.st_size > 0 else { throw InputError(.invalidData, file: path, rule: "must not be empty") }
        return Int(status.st_size)
    }

    private static func failure(_ path: String, _ number: Int32) -> InputError {
        if number == ENOENT || number == ENOTDIR {
            return InputError(.missingInput, file: path, rule: "there is no such file")
        }
        return InputError(.inputOutput, file: path, rule: "cannot be read: \(String(cString: strerror(number)))")
    }
}
