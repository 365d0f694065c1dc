import AttentionCore
import Foundation

/// A folder that results are written to; made when it is missing.
package struct OutputDirectory {
    package let path: String

    /// - Throws: `InputError` (`cannotCreate`) when it cannot be made or written.
    package init(_ path: String) throws(InputError) {
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
    package func reserve(_ names: String...) throws(InputError) {
        for name in names {
            var isDirectory: ObjCBool = false
            if FileManager.default.fileExists(atPath: file(name), isDirectory: &isDirectory), isDirectory.boolValue {
                throw InputError(.cannotCreate, file: file(name), rule: "is a directory; must be a file")
            }
        }
    }

    package func file(_ name: String) -> String { path + "/" + name }

    package func write(_ data: Data, to name: String) throws(InputError) { try AtomicFile.write(data, to: file(name)) }
    package func write(_ text: String, to name: String) throws(InputError) { try AtomicFile.write(text, to: file(name)) }
}
