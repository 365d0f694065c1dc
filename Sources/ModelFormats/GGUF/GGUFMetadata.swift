import AttentionCore

/// Typed, checked access to a GGUF file's metadata; every error names the file and the key.
package struct GGUFMetadata: Sendable {
    package let file: String
    private var entries: [ExactText: (value: GGUFValue, bytes: Range<Int>)] = [:]

    init(file: String) { self.file = file }

    /// - Parameter bytes: where key and value stand in the file.
    /// - Returns: false when the key is there already.
    mutating func insert(_ key: String, _ value: GGUFValue, bytes: Range<Int>) -> Bool {
        guard entries[ExactText(key)] == nil else { return false }
        entries[ExactText(key)] = (value, bytes)
        return true
    }

    /// Every key, in the order of its bytes.
    package var keys: [String] { entries.keys.map(\.text).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) } }

    package func value(_ key: String) -> GGUFValue? { entries[ExactText(key)]?.value }

    /// Where key and value stand in the file, or nil when the key is absent.
    func bytes(_ key: String) -> Range<Int>? { entries[ExactText(key)]?.bytes }

    /// An error about `key` and the value it has.
    package func error(_ key: String, _ rule: String, code: InputError.Code = .invalidData) -> InputError {
        InputError(code, file: file, field: key, value: value(key)?.summary, rule: rule)
    }

    private func required(_ key: String) throws(InputError) -> GGUFValue {
        guard let value = value(key) else { throw error(key, "is missing") }
        return value
    }

    package func integer(_ key: String, in range: ClosedRange<Int>, default fallback: Int? = nil) throws(InputError) -> Int {
        if let fallback, value(key) == nil { return fallback }
        guard let integer = try required(key).integer, range.contains(integer) else {
            throw error(key, "must be an integer in \(range.lowerBound)...\(range.upperBound)")
        }
        return integer
    }

    package func number(_ key: String, in range: ClosedRange<Double>, default fallback: Double? = nil) throws(InputError) -> Double {
        if let fallback, value(key) == nil { return fallback }
        guard let number = try required(key).number, range.contains(number) else {
            throw error(key, "must be a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// - Returns: nil when the key is absent.
    package func bool(_ key: String) throws(InputError) -> Bool? {
        guard let value = value(key) else { return nil }
        guard let bool = value.bool else { throw error(key, "must be true or false") }
        return bool
    }

    package func string(_ key: String) throws(InputError) -> String {
        guard let string = try required(key).string else { throw error(key, "must be a text") }
        return string
    }

    /// - Returns: nil when the key is absent.
    package func strings(_ key: String) throws(InputError) -> [String]? {
        try list(key, of: "texts") { $0.string }
    }

    /// - Returns: nil when the key is absent.
    package func floats(_ key: String) throws(InputError) -> [Float]? {
        try list(key, of: "numbers") { value in
            if case .float(let float) = value { float } else { value.number.map { Float($0) } }
        }
    }

    /// - Returns: nil when the key is absent.
    package func integers(_ key: String) throws(InputError) -> [Int]? {
        try list(key, of: "integers") { $0.integer }
    }

    private func list<Element>(
        _ key: String, of elements: String, _ convert: (GGUFValue) -> Element?
    ) throws(InputError) -> [Element]? {
        guard let value = value(key) else { return nil }
        guard let values = value.array else { throw error(key, "must be a list of \(elements)") }
        var result: [Element] = []
        result.reserveCapacity(values.count)
        for (index, value) in values.enumerated() {
            guard let element = convert(value) else {
                throw InputError(
                    .invalidData, file: file, field: "\(key)[\(index)]", value: value.summary, rule: "must be one of \(elements)")
            }
            result.append(element)
        }
        return result
    }
}
