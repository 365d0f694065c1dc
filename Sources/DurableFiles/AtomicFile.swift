import AttentionCore
import Foundation
import Glibc

/// Files that are written whole or not at all.
public enum AtomicFile {
    /// Writes `text` as UTF-8; see `write(_:to:)` for bytes.
    public static func write(_ text: String, to path: String) throws(InputError) {
        try write(text.utf8, to: path)
    }

    /// Writes `bytes` (an array, a `Data`, …) to a temporary file beside `path`, syncs it to the disk and renames it.
    ///
    /// Whoever opens `path` sees the old content or the new, never a part. A link at `path` stays and its target is replaced;
    /// an existing file's permissions stay. A device or pipe, such as `/dev/stdout`, cannot be replaced and is written directly.
    ///
    /// - Throws: `InputError`: `cannotCreate` when the directory is missing or not writable or `path` is a directory;
    ///   `inputOutput` when writing fails, for instance because the disk is full. The temporary file is removed.
    public static func write(_ bytes: some Sequence<UInt8>, to path: String) throws(InputError) {
        let bytes = ContiguousArray(bytes)
        guard !path.isEmpty, !path.utf8.contains(0) else {
            throw InputError(.cannotCreate, file: path, rule: "a path must have at least one character and no NUL")
        }
        var existing = stat()
        guard stat(path, &existing) == 0 else {
            return try replace(path, with: bytes, permissions: nil, reportedAs: path)
        }
        switch existing.st_mode & S_IFMT {
        case S_IFDIR: throw InputError(.cannotCreate, file: path, rule: "is a directory; must be a file")
        case S_IFREG:
            try replace(resolved(path), with: bytes, permissions: existing.st_mode & 0o7777, reportedAs: path)
        default: try writeDirectly(bytes, to: path)
        }
    }

    private static func replace(
        _ target: String, with bytes: ContiguousArray<UInt8>, permissions: mode_t?, reportedAs path: String
    ) throws(InputError) {
        let directory = directory(of: target)
        // Not made from the target's name, which may already be as long as a name can be.
        let temporary = directory + ".unfinished-\(getpid())-\(String(UInt64.random(in: .min ... .max), radix: 36))"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw failure(.cannotCreate, path, errno) }
        var error = writeAll(bytes, to: descriptor)
        if error == 0, let permissions, fchmod(descriptor, permissions) != 0 { error = errno }
        if error == 0, fsync(descriptor) != 0 { error = errno }
        if close(descriptor) != 0, error == 0 { error = errno }
        if error == 0, rename(temporary, target) != 0 { error = errno }
        guard error == 0 else {
            unlink(temporary)
            throw failure(.inputOutput, path, error)
        }
        syncDirectory(of: target)
    }

    private static func writeDirectly(_ bytes: ContiguousArray<UInt8>, to path: String) throws(InputError) {
        let descriptor = open(path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(.cannotCreate, path, errno) }
        var error = writeAll(bytes, to: descriptor)
        if close(descriptor) != 0, error == 0 { error = errno }
        guard error == 0 else { throw failure(.inputOutput, path, error) }
    }

    /// Writes until nothing is left; returns 0 or the error number.
    package static func writeAll(_ bytes: some ContiguousBytes, to descriptor: Int32) -> Int32 {
        bytes.withUnsafeBytes { buffer in
            var rest = buffer[...]
            while !rest.isEmpty {
                let count = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                if count < 0, errno == EINTR { continue }
                if count < 0 { return errno }
                rest = rest.dropFirst(count)
            }
            return 0
        }
    }

    /// The file that a path means once its links are followed.
    private static func resolved(_ path: String) -> String {
        guard let real = realpath(path, nil) else { return path }
        defer { free(real) }
        return String(cString: real)
    }

    private static func directory(of path: String) -> String { path.lastIndex(of: "/").map { String(path[...$0]) } ?? "./" }

    /// Makes the new name itself last. The content is whole without it, so a file system that cannot is no error.
    static func syncDirectory(of path: String) {
        let descriptor = open(directory(of: path), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        close(descriptor)
    }

    private static func failure(_ code: InputError.Code, _ path: String, _ error: Int32) -> InputError {
        let rule =
            switch error {
            case ENOENT: "the directory must exist"
            case ENOTDIR: "every part of the path but the last must be a directory"
            case EACCES, EPERM: "the directory must be writable"
            case EROFS: "the file system is read-only; the directory must be writable"
            case ENOSPC, EDQUOT: "no space left on the device"
            case EFBIG: "the file is larger than the system allows"
            case ENAMETOOLONG: "the name is too long for the file system"
            default: "cannot be written (\(String(cString: strerror(error))))"
            }
        return InputError(code, file: path, rule: rule)
    }
}
