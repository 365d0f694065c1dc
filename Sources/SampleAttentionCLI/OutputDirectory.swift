import AttentionCore
import DurableFiles
import Foundation

/// A folder that a command writes its files to; made when it is missing.
struct OutputDirectory {
    let path: String

    /// - Throws: `InputError` (`cannotCreate`) when it cannot be made or written.
    init(_ path: String) throws(InputError) {
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw InputError(.cannotCreate, file: path, rule: "the output folder must be writable")
        }
        guard FileManager.default.isWritableFile(atPath: path) else {
            throw InputError(.cannotCreate, file: path, rule: "the output folder must be writable")
        }
        self.path = path
    }

    /// Finds out before hours of work that a result will have no place. - Throws: `InputError` (`cannotCreate`) for a folder of that name.
    func reserve(_ names: String...) throws(InputError) {
        for name in names {
            var isDirectory: ObjCBool = false
            if FileManager.default.fileExists(atPath: file(name), isDirectory: &isDirectory), isDirectory.boolValue {
                throw InputError(.cannotCreate, file: file(name), rule: "is a directory; must be a file")
            }
        }
    }

    /// Finished work has no journal; doing it all again is not what --resume asks for.
    ///
    /// - Parameters:
    ///   - folder: of --output; nil where it was not given.
    ///   - work: what would be continued, such as "profile".
    /// - Throws: `InputError` (`usage`) when there is nothing to continue.
    static func requireJournal(in folder: String?, of work: String) throws(InputError) {
        guard let folder else { throw InputError(.usage, field: "resume", rule: "needs the --output folder of the stopped \(work)") }
        guard FileManager.default.fileExists(atPath: folder + "/journal.jsonl") else {
            throw InputError(
                .usage, file: folder, field: "resume", rule: "there is nothing to continue: no \(work) was stopped in this folder")
        }
    }

    func file(_ name: String) -> String { path + "/" + name }

    func write(_ data: Data, to name: String) throws(InputError) { try AtomicFile.write(data, to: file(name)) }
    func write(_ text: String, to name: String) throws(InputError) { try AtomicFile.write(text, to: file(name)) }
}
