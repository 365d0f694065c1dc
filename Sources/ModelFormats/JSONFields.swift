import AttentionCore

/// Typed, checked access to one object's members; every error names the file and the member's dotted path.
///
/// A member that is `null` counts as absent.
package struct JSONFields: Sendable {
    package let object: JSONObject
    package let file: String
    /// Where the object stands in the file ("" for the top, otherwise such as "model").
    package let path: String

    package init(_ object: JSONObject, file: String, path: String = "") {
        self.object = object
        self.file = file
        self.path = path
    }

    /// The fields of the JSON file at `path`.
    package init(contentsOf path: String) throws(InputError) {
        let mapped = try MappedFile(path)
        try mapped.checkContent()
        self.init(try JSONParser.object(mapped.bytes, file: path), file: path)
    }

    /// The fields of `text`; `file` names it in errors.
    package init(parsing text: String, file: String) throws(InputError) {
        let bytes = Array(text.utf8)
        let object = try bytes.withUnsafeBufferPointer { buffer throws(InputError) in
            try JSONParser.object(UnsafeRawBufferPointer(buffer), file: file)
        }
        self.init(object, file: file)
    }

    package func name(_ member: String) -> String { path.isEmpty ? member : path + "." + member }

    package func value(_ member: String) -> JSONValue? {
        object[member].flatMap { $0.isNull ? nil : $0 }
    }

    /// An error about `member` and the value it has.
    package func error(_ member: String, _ rule: String, code: InputError.Code = .invalidData) -> InputError {
        InputError(code, file: file, field: name(member), value: object[member]?.summary, rule: rule)
    }

    private func required(_ member: String) throws(InputError) -> JSONValue {
        guard let value = value(member) else { throw error(member, "is missing") }
        return value
    }

    package func integer(
        _ member: String, in range: ClosedRange<Int>, default fallback: Int? = nil
    ) throws(InputError) -> Int {
        if let fallback, value(member) == nil { return fallback }
        guard let value = try required(member).integer, range.contains(value) else {
            throw error(member, "must be an integer in \(range.lowerBound)...\(range.upperBound)")
        }
        return value
    }

    package func number(
        _ member: String, in range: ClosedRange<Double>, default fallback: Double? = nil
    ) throws(InputError) -> Double {
        if let fallback, value(member) == nil { return fallback }
        guard let value = try required(member).number, range.contains(value) else {
            throw error(member, "must be a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    package func bool(_ member: String, default fallback: Bool) throws(InputError) -> Bool {
        guard let value = value(member) else { return fallback }
        guard let bool = value.bool else { throw error(member, "must be true or false") }
        return bool
    }

    package func string(_ member: String, default fallback: String? = nil) throws(InputError) -> String {
        if let fallback, value(member) == nil { return fallback }
        guard let value = try required(member).string, !value.isEmpty else {
            throw error(member, "must be a text that is not empty")
        }
        return value
    }

    package func array(_ member: String) throws(InputError) -> [JSONValue] {
        guard let values = try required(member).array else { throw error(member, "must be a list") }
        return values
    }

    /// The fields of the object `member`, or nil when it is absent.
    package func fields(_ member: String) throws(InputError) -> JSONFields? {
        guard let value = value(member) else { return nil }
        guard let object = value.object else { throw error(member, "must be an object") }
        return JSONFields(object, file: file, path: name(member))
    }

    /// The fields of every element of the list `member`; none when it is absent.
    package func list(_ member: String) throws(InputError) -> [JSONFields] {
        guard value(member) != nil else { return [] }
        var result: [JSONFields] = []
        for (index, element) in try array(member).enumerated() {
            guard let object = element.object else { throw error("\(member)[\(index)]", "must be an object") }
            result.append(JSONFields(object, file: file, path: name("\(member)[\(index)]")))
        }
        return result
    }
}
