import AttentionCore
import Foundation
import RunProvenance

extension TunedConfig {
    /// Reads and checks a config file.
    ///
    /// - Throws: `InputError` naming file, field, value and rule: missing file, broken JSON, unknown schema, a field that is
    ///   missing, unknown or out of range.
    public init(contentsOf path: String) throws(InputError) {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw InputError(.missingInput, file: path, rule: "the config file must exist and be readable")
        }
        try self.init(json: data, path: path)
    }

    /// Checks a file's bytes.
    ///
    /// - Parameter path: the file, for errors.
    /// - Throws: as `init(contentsOf:)`.
    public init(json data: Data, path: String) throws(InputError) {
        try Self.checkSchema(data, path: path)
        do {
            self = try JSONDecoder().decode(TunedConfig.self, from: data)
        } catch {
            throw Self.inputError(error, path: path)
        }
        try checkConsistency(path: path)
        try checkUnknownFields(data, path: path)
    }

    /// The file's bytes: sorted keys, one field a line.
    public func encoded() -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        // Every value is finite by construction, so encoding cannot fail.
        return try! encoder.encode(self) + Data("\n".utf8)
    }

    /// - Throws: `InputError` (`configuration`) that names both models when this config was tuned for another one.
    public func check(against other: ModelIdentity, path: String) throws(InputError) {
        guard model != other else { return }
        var restamped = model
        restamped.weightsSHA256 = other.weightsSHA256
        // Configs once named the digest of the files; nothing tells them from configs of other weights.
        let advice = restamped == other ? "; if it is, by an older version's digest, weightsSHA256 must be \(other.weightsSHA256)" : ""
        throw InputError(
            .configuration, file: path, field: "model", value: model.summary,
            rule: "the config must be for the loaded model (\(other.summary))\(advice)")
    }

    private static func checkSchema(_ data: Data, path: String) throws(InputError) {
        struct Header: Decodable { let schemaVersion: Int }
        let header: Header
        do { header = try JSONDecoder().decode(Header.self, from: data) } catch { throw inputError(error, path: path) }
        guard header.schemaVersion == currentSchema else {
            throw InputError(
                .configuration, file: path, field: "schemaVersion", value: "\(header.schemaVersion)",
                rule: "this version reads schema \(currentSchema)")
        }
    }

    private func checkConsistency(path: String) throws(InputError) {
        func require(_ condition: Bool, _ field: String, _ value: String, _ rule: String) throws(InputError) {
            if !condition { throw InputError(.configuration, file: path, field: field, value: value, rule: rule) }
        }
        try require(denseBelow >= 0, "denseBelow", "\(denseBelow)", "must not be negative")
        let sizes = [model.layers, model.queryHeads, model.keyValueHeads, model.headDimension]
        try require(sizes.allSatisfy { (1...1 << 20).contains($0) }, "model", "\(sizes)", "counts must be from 1 to 1048576")
        for (index, bucket) in buckets.enumerated() {
            let field = "buckets[\(index)]"
            try require(bucket.length > 0, field + ".length", "\(bucket.length)", "must be positive")
            try require(
                index == 0 || buckets[index - 1].length < bucket.length, field + ".length", "\(bucket.length)", "lengths must ascend")
            try require(
                bucket.layers.count <= model.layers, field + ".layers", "\(bucket.layers.count)", "must hold at most \(model.layers) layers"
            )
            for (layer, heads) in bucket.layers.enumerated() {
                try require(
                    heads.count <= model.queryHeads, field + ".layers[\(layer)]", "\(heads.count)",
                    "must hold at most \(model.queryHeads) heads")
            }
        }
    }

    /// A misspelt field would otherwise be ignored in silence.
    private func checkUnknownFields(_ data: Data, path: String) throws(InputError) {
        let given = try? JSONSerialization.jsonObject(with: data)
        let known = try? JSONSerialization.jsonObject(with: encoded())
        if let field = Self.firstUnknownField(given, known, at: "") {
            throw InputError(.configuration, file: path, field: field, rule: "is not a field of schema \(Self.currentSchema)")
        }
    }

    private static func firstUnknownField(_ given: Any?, _ known: Any?, at path: String) -> String? {
        if let given = given as? [String: Any], let known = known as? [String: Any] {
            for key in given.keys.sorted() {
                let field = path.isEmpty ? key : "\(path).\(key)"
                guard let expected = known[key] else { return field }
                if let found = firstUnknownField(given[key], expected, at: field) { return found }
            }
        }
        if let given = given as? [Any], let known = known as? [Any] {
            for (index, pair) in zip(given, known).enumerated() {
                if let found = firstUnknownField(pair.0, pair.1, at: "\(path)[\(index)]") { return found }
            }
        }
        return nil
    }

    private static func inputError(_ error: any Error, path: String) -> InputError {
        let fault = DecodingFault(error)
        if let rule = fault.rule { return InputError(.configuration, file: path, field: fault.field, value: fault.value, rule: rule) }
        guard case DecodingError.dataCorrupted(let context) = error else {
            return InputError(.configuration, file: path, rule: "must be a tuned config in JSON")
        }
        return InputError(.configuration, file: path, rule: context.rule)
    }
}

extension DecodingError.Context {
    /// What is wrong with data that is corrupted, with the parser's place where it gives one.
    var rule: String {
        debugDescription + ((underlyingError as NSError?)?.userInfo["NSDebugDescription"].map { " (\($0))" } ?? "")
    }
}
