import AttentionCore
import Foundation

/// Tasks in JSON Lines: `{"id","task","length","prompt","answer"}` or `{"id","task","length","text","answers":[{"start","end"}]}`
/// with spans counted in Unicode scalars of `text`. A question with several answers has `answers`, a list of strings; `depth`,
/// `scorer`, `classes`, `onlyFirstLine` and `newTokens` may be left out.
///
/// LongBench's, BABILong's and RULER's own rows are known by their fields (`context`, `target`, `outputs`); all rows may be in one JSON
/// list instead.
public enum TaskFile {
    /// - Parameter reading: how rows of published benchmarks become prompts; nil refuses them.
    /// - Throws: `InputError` naming file, line, field and rule.
    public static func read(_ path: String, reading: Reading? = nil) throws(InputError) -> [EvaluationTask] {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw InputError(.missingInput, file: path, rule: "the task file must be a readable file")
        }
        try ForeignEncoding.refuse(data, file: path)
        var tasks: [EvaluationTask] = []
        for (number, (row, place)) in try rows(ForeignEncoding.withoutByteOrderMark(data), file: path).enumerated() {
            switch row {
            case .own(let row): tasks.append(try row.task(at: place))
            case .longBench(let row): tasks += try row.tasks(known(reading, at: place), at: place)
            case .babiLong(let row): tasks += try row.tasks(known(reading, at: place), number: number + 1, at: place)
            case .ruler(let row): tasks.append(try row.task(number: number + 1, at: place))
            }
        }
        guard !tasks.isEmpty else { throw InputError(.invalidData, file: path, rule: "must hold at least one task") }
        return tasks
    }

    private static func known(_ reading: Reading?, at place: Place) throws(InputError) -> Reading {
        guard let reading else {
            throw InputError(
                .unsupported, file: place.file, field: place.row, rule: "a benchmark's own task needs a tokenizer and a length here")
        }
        return reading
    }

    /// A row of any format.
    private enum AnyRow: Decodable {
        case own(Row), longBench(LongBenchRow), babiLong(BABILongRow), ruler(RULERRow)

        private enum Field: CodingKey { case context, target, prompt, text, outputs }

        init(from decoder: any Decoder) throws {
            let fields = try decoder.container(keyedBy: Field.self)
            if fields.contains(.prompt) || fields.contains(.text) {
                self = .own(try Row(from: decoder))
            } else if fields.contains(.context) {
                self = .longBench(try LongBenchRow(from: decoder))
            } else if fields.contains(.target) {
                self = .babiLong(try BABILongRow(from: decoder))
            } else if fields.contains(.outputs) {
                self = .ruler(try RULERRow(from: decoder))
            } else {
                self = .own(try Row(from: decoder))
            }
        }
    }

    /// A row, or why it is none: one broken row of a list is named, not the list.
    private struct Attempt: Decodable {
        let row: Result<AnyRow, any Error>
        init(from decoder: any Decoder) { row = Result { try AnyRow(from: decoder) } }
    }

    private static func rows(_ data: Data, file: String) throws(InputError) -> [(AnyRow, Place)] {
        let isList = data.first { !" \t\r\n".utf8.contains($0) } == UInt8(ascii: "[")
        return isList ? try list(data, file: file) : try lines(data, file: file)
    }

    private static func lines(_ data: Data, file: String) throws(InputError) -> [(AnyRow, Place)] {
        var rows: [(AnyRow, Place)] = []
        for (index, line) in data.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated()
        where !line.allSatisfy(" \t\r".utf8.contains) {
            let place = Place(file: file, row: "line \(index + 1)")
            do {
                rows.append((try JSONDecoder().decode(AnyRow.self, from: Data(line)), place))
            } catch {
                throw place.refuse(error)
            }
        }
        return rows
    }

    private static func list(_ data: Data, file: String) throws(InputError) -> [(AnyRow, Place)] {
        guard let attempts = try? JSONDecoder().decode([Attempt].self, from: data) else {
            throw InputError(.invalidData, file: file, rule: "must be a list of task objects: broken JSON")
        }
        var rows: [(AnyRow, Place)] = []
        for (index, attempt) in attempts.enumerated() {
            let place = Place(file: file, row: "row \(index + 1)")
            switch attempt.row {
            case .success(let row): rows.append((row, place))
            case .failure(let error): throw place.refuse(error)
            }
        }
        return rows
    }

    /// One task as a line of such a file.
    public static func line(_ task: EvaluationTask) -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Strings and integers only, so encoding cannot fail.
        return try! encoder.encode(Row(task)) + Data("\n".utf8)
    }
}
