import AttentionCore
import DurableFiles
import Foundation

extension OutputDirectory {
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
}
