/// Something that came from outside the program (a file, an option, a text) and cannot be used.
///
/// The description is one line: `file: field: value: rule`. Programmers' mistakes trap with `precondition` instead.
public struct InputError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What kind of thing went wrong; each kind has one `sysexits.h` exit code.
    public enum Code: String, Sendable, CaseIterable {
        case usage, invalidData, missingInput, unsupported, internalFailure, systemFailure, cannotCreate, inputOutput, configuration

        /// The process exit code (64…78, `sysexits.h`).
        public var exitCode: Int32 {
            switch self {
            case .usage: 64
            case .invalidData: 65
            case .missingInput: 66
            case .unsupported: 69
            case .internalFailure: 70
            case .systemFailure: 71
            case .cannotCreate: 73
            case .inputOutput: 74
            case .configuration: 78
            }
        }
    }

    /// What the user may do about it. How that is asked for is for the program to say: a library knows no options.
    public enum Remedy: Sendable, CaseIterable {
        /// Continue the work whose journal is there.
        case continueJournal
        /// Write to another folder.
        case anotherFolder
        /// Load a model without the tensors that its family does not have.
        case ignoreExtraTensors
    }

    public let code: Code
    /// The file the value came from, if any.
    public let file: String?
    /// The field, tensor or option at fault, if any.
    public let field: String?
    /// The value found, if any.
    public let value: String?
    /// What the value should have been.
    public let rule: String
    /// What may be done about it, if anything.
    public let remedy: Remedy?

    public init(
        _ code: Code, file: String? = nil, field: String? = nil, value: String? = nil, rule: String, remedy: Remedy? = nil
    ) {
        self.code = code
        self.file = file
        self.field = field
        self.value = value
        self.rule = rule
        self.remedy = remedy
    }

    /// The same fault as a part of something larger: the place stands before the field, as in `layer 3, head 5`.
    package func within(_ place: String) -> InputError {
        InputError(code, file: file, field: field.map { "\(place), \($0)" } ?? place, value: value, rule: rule, remedy: remedy)
    }

    /// What `body` returns; what it refuses names `place`, see `within(_:)`.
    package static func within<Result>(
        _ place: @autoclosure () -> String, _ body: () throws(InputError) -> Result
    ) throws(InputError) -> Result {
        do { return try body() } catch { throw error.within(place()) }
    }

    public var description: String {
        [file, field, value.map { $0.isEmpty ? "\"\"" : $0 }, rule].compactMap(\.self).map(Self.oneLine).joined(separator: ": ")
    }

    /// Control characters would break the one-line promise, and a hostile value could be megabytes long.
    private static func oneLine(_ text: String) -> String {
        let cleaned = String(text.unicodeScalars.prefix(300).map { $0.value < 32 || $0.value == 127 ? " " : Character($0) })
        return text.unicodeScalars.count > 300 ? cleaned + "…" : cleaned
    }
}
