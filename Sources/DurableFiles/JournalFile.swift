import AttentionCore
import Foundation

/// A file that grows line by line, in the hands of one process at a time.
///
/// The lock belongs to the open file (`flock`), so it ends with the process however that ends. Appended bytes are on the disk when
/// `append` returns, and when it fails the file is as long as before.
public struct JournalFile: ~Copyable, Sendable {
    public let path: String
    private let descriptor: Int32
    /// Bytes of the file.
    private(set) var length: Int

    /// Opens the file, which is made when it is missing, and locks it.
    ///
    /// - Throws: `InputError` (`cannotCreate`) when it cannot be opened for writing, is no regular file, or another process holds it.
    public init(_ path: String) throws(InputError) {
        self.path = path
        while true {
            // O_NONBLOCK: opening a named pipe must fail below, not wait for a reader.
            let descriptor = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0o666)
            guard descriptor >= 0 else { throw Self.failure(path, "the journal must be writable", errno) }
            var own = stat()
            guard fstat(descriptor, &own) == 0, own.st_mode & S_IFMT == S_IFREG else {
                close(descriptor)
                throw InputError(.cannotCreate, file: path, rule: "the journal must be a regular file")
            }
            guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
                let error = errno
                close(descriptor)
                guard error == EWOULDBLOCK else { throw Self.failure(path, "the journal must be lockable", error) }
                throw InputError(
                    .cannotCreate, file: path, rule: "another process is writing this journal: wait for it, or take another folder",
                    remedy: .anotherFolder)
            }
            // Between opening and locking the file may have been removed by a process that finished its work.
            var named = stat()
            if stat(path, &named) == 0, named.st_dev == own.st_dev, named.st_ino == own.st_ino {
                self.descriptor = descriptor
                length = Int(own.st_size)
                break
            }
            close(descriptor)
        }
        if length == 0 { AtomicFile.syncDirectory(of: path) }
    }

    deinit {
        // Nothing came to be written, as when what stood between opening and writing failed.
        if length == 0 { remove() }
        // A child that is being started holds the file too for a moment, and with it the lock, unless that is given up by name.
        flock(descriptor, LOCK_UN)
        close(descriptor)
    }

    /// The whole file. - Throws: `InputError` (`inputOutput`).
    func contents() throws(InputError) -> Data {
        var data = Data(count: length)
        var filled = 0
        while filled < length {
            let (start, count) = (filled, length - filled)
            let got = data.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress! + start, count, off_t(start)) }
            if got < 0, errno == EINTR { continue }
            guard got > 0 else { throw InputError(.inputOutput, file: path, rule: "the journal cannot be read") }
            filled += got
        }
        return data
    }

    /// Cuts the file off after `bytes`. - Throws: `InputError` (`inputOutput`).
    mutating func truncate(to bytes: Int) throws(InputError) {
        guard ftruncate(descriptor, off_t(bytes)) == 0, fsync(descriptor) == 0 else {
            throw Self.failure(path, "the journal could not be written", errno, code: .inputOutput)
        }
        length = bytes
    }

    /// Appends and waits for the disk. - Throws: `InputError` (`inputOutput`): the disk is full or fails.
    mutating func append(_ bytes: Data) throws(InputError) {
        var error = AtomicFile.writeAll(bytes, to: descriptor)
        if error == 0, fsync(descriptor) != 0 { error = errno }
        guard error == 0 else {
            // Half a line would be cut off when the journal is continued; other readers should not find one either.
            _ = ftruncate(descriptor, off_t(length))
            throw Self.failure(path, "the journal could not be written", error, code: .inputOutput)
        }
        length += bytes.count
    }

    /// Removes the file's name; the lock is held until the end.
    func remove() { unlink(path) }

    private static func failure(_ path: String, _ rule: String, _ error: Int32, code: InputError.Code = .cannotCreate) -> InputError {
        InputError(code, file: path, rule: "\(rule) (\(String(cString: strerror(error))))")
    }
}
