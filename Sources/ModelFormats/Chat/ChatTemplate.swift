import AttentionCore

/// The Jinja template with which a model's makers write conversations. It is not run: what it contains tells the format.
public struct ChatTemplate: Hashable, Sendable {
    public let text: String
    /// Where it stands, for errors.
    public let file: String

    public init(_ text: String, file: String) {
        self.text = text
        self.file = file
    }

    /// The template of a model's folder: `chat_template.jinja`, else `chat_template` of `tokenizer_config.json`, which may be a list of named
    /// ones; nil when there is none.
    ///
    /// - Throws: `InputError` when a file is broken.
    package init?(directory path: String) throws(InputError) {
        let own = path + "/chat_template.jinja"
        if let mapped = try Self.ifThere({ () throws(InputError) in try MappedFile(own) }) {
            try mapped.checkContent()
            self.init(try TextFile.text(mapped.bytes, of: own), file: own)
            return
        }
        let settings = path + "/tokenizer_config.json"
        guard let fields = try Self.ifThere({ () throws(InputError) in try JSONFields(contentsOf: settings) }),
            let value = fields.value("chat_template")
        else { return nil }
        if value.array == nil {
            self.init(try fields.string("chat_template"), file: settings)
            return
        }
        let named = try fields.list("chat_template")
        guard var chosen = named.first else { return nil }
        for one in named where try one.string("name") == "default" { chosen = one }
        self.init(try chosen.string("template"), file: settings)
    }

    private static func ifThere<Value>(_ read: () throws(InputError) -> Value) throws(InputError) -> Value? {
        do { return try read() } catch  where error.code == .missingInput { return nil }
    }

    func contains(_ part: String) -> Bool { text.contains(part) }

    /// True when a text that the template writes begins so.
    func writes(_ part: String) -> Bool { contains("'" + part) || contains("\"" + part) }

    /// What stands between two parts, up to 16 times, each time from the first part to the next of the other. Line ends written `\n` are line ends.
    func between(_ start: String, _ end: String) -> [String] {
        var rest = text.replacing(#"\n"#, with: "\n")[...]
        var result: [String] = []
        while result.count < 16, let first = rest.firstRange(of: start), let last = rest[first.upperBound...].firstRange(of: end) {
            result.append(String(rest[first.upperBound..<last.lowerBound]))
            rest = rest[first.upperBound...]
        }
        return result
    }
}
