import AttentionCore
import Foundation

/// A reader of files from outside. Whatever the bytes, it returns or throws an `InputError`.
struct FuzzedParser: Sendable {
    let name: String
    /// Valid inputs to change, and the reader. Called once, before the first input.
    let prepare: @Sendable (FuzzingModel) throws -> Prepared

    struct Prepared {
        let samples: [Sample]
        /// Reads the file at a path and uses what it found as the program would.
        let parse: (String) throws -> Void
    }

    static let all: [FuzzedParser] =
        modelParsers + familyParsers + ggufParsers + tokenizerParsers + tokenizerKindParsers + studyParsers + taskParsers

    /// - Throws: `InputError` (`usage`) for a name that is none.
    static func named(_ name: String) throws(InputError) -> FuzzedParser {
        guard let parser = all.first(where: { $0.name == name }) else {
            throw InputError(
                .usage, field: "parser", value: name, rule: "must be one of \(all.map(\.name).joined(separator: ", "))")
        }
        return parser
    }
}

/// Something that a reader accepted and that cannot be used.
struct FuzzFailure: Error, CustomStringConvertible {
    let description: String
}
