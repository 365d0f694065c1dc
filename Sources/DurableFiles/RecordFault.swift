import AttentionCore

/// What is wrong with a record that a journal holds: a disk or an editor may have damaged it.
public struct RecordFault: Error, Hashable, Sendable {
    /// The first field that cannot be, and its value; nil where the record as a whole is at fault.
    public let field, value: String?
    /// What would have to hold.
    public let rule: String

    public init(field: String? = nil, value: String? = nil, rule: String) {
        (self.field, self.value, self.rule) = (field, value, rule)
    }
}

extension ResultJournal {
    /// Refuses records that the journal's work cannot have written.
    ///
    /// - Parameter fault: what is wrong with the record of an index; nil for one that the work may have written.
    /// - Throws: `InputError` (`invalidData`) naming the line, and the field at fault, of the first that is refused.
    public static func require(
        _ records: [Record], path: String, fault: (_ index: Int, _ record: Record) -> RecordFault?
    ) throws(InputError) {
        for (index, record) in records.enumerated() {
            guard let fault = fault(index, record) else { continue }
            // The first line is the header's, and lines count from 1.
            let line = "line \(index + 2)"
            throw InputError(
                .invalidData, file: path, field: fault.field.map { "\(line), \($0)" } ?? line, value: fault.value, rule: fault.rule)
        }
    }
}
