import AttentionCore

/// The tokens that a tokenizer puts before and after a prompt, such as begin-of-text.
public struct PromptAffixes: Hashable, Sendable {
    public private(set) var before: [Int32] = []
    public private(set) var after: [Int32] = []

    public var count: Int { before.count + after.count }

    /// More is no template, but a file that would fill the memory.
    private static let mostTokens = 1 << 12

    init(before: [Int32] = [], after: [Int32] = []) { (self.before, self.after) = (before, after) }

    /// What the `post_processor` of a `tokenizer.json` puts around a single text; nil when it says nothing about that, as `ByteLevel`.
    ///
    /// - Throws: `InputError` (`unsupported`) for a processor that is not known; `invalidData` for a broken one.
    init?(postProcessor fields: JSONFields?) throws(InputError) {
        guard let fields else { return nil }
        switch try fields.string("type") {
        case "ByteLevel": return nil
        case "Sequence":
            var all: PromptAffixes?
            for part in try fields.list("processors") {
                guard let own = try PromptAffixes(postProcessor: part) else { continue }
                guard (all?.count ?? 0) == 0 || own.count == 0 else {
                    throw part.error("type", "only one post-processor may add tokens", code: .unsupported)
                }
                if own.count > 0 || all == nil { all = own }
            }
            guard let all else { return nil }
            self = all
        case "TemplateProcessing": try read(template: fields)
        case "RobertaProcessing", "BertProcessing":
            (before, after) = ([try Self.token("cls", fields)], [try Self.token("sep", fields)])
        default:
            throw fields.error("type", "this post-processor is not supported", code: .unsupported)
        }
    }

    /// What `tokenizer_config.json` asks for, where the tokenizer's own file does not say it.
    ///
    /// - Parameters:
    ///   - defaults: what holds where the settings do not say whether a token is added.
    ///   - id: the id of a token's text.
    /// - Throws: `InputError` (`invalidData`) when a token that is asked for is none of the tokenizer's.
    init(settings fields: JSONFields, defaults: PromptAffixes = PromptAffixes(), id: (String) -> Int32?) throws(InputError) {
        func tokens(_ kind: String, _ defaults: [Int32]) throws(InputError) -> [Int32] {
            guard try fields.bool("add_\(kind)_token", default: !defaults.isEmpty) else { return [] }
            guard let value = fields.value("\(kind)_token") else { return defaults }
            guard let id = (value.string ?? value.object?["content"]?.string).flatMap(id) else {
                throw fields.error("\(kind)_token", "must be one of the tokenizer's added tokens")
            }
            return [id]
        }
        (before, after) = (try tokens("bos", defaults.before), try tokens("eos", defaults.after))
    }

    private mutating func read(template fields: JSONFields) throws(InputError) {
        let tokens = try fields.fields("special_tokens")
        var isBehind = false
        for part in try fields.list("single") {
            if part.value("Sequence") != nil {
                isBehind = true
                continue
            }
            guard let special = try part.fields("SpecialToken"), let token = try tokens?.fields(special.string("id")) else {
                throw fields.error("single", "must consist of Sequence and of SpecialToken that special_tokens names")
            }
            for (index, id) in try token.array("ids").enumerated() {
                guard let id = id.integer, 0...ModelLimit.vocabulary ~= id else {
                    throw token.error("ids[\(index)]", "must be a token id")
                }
                guard count < Self.mostTokens else { throw token.error("ids", "must be at most \(Self.mostTokens) tokens in all") }
                if isBehind { after.append(Int32(id)) } else { before.append(Int32(id)) }
            }
        }
    }

    /// A token written ["<s>", 0].
    private static func token(_ member: String, _ fields: JSONFields) throws(InputError) -> Int32 {
        let pair = try fields.array(member)
        guard pair.count == 2, let id = pair[1].integer, 0...ModelLimit.vocabulary ~= id else {
            throw fields.error(member, "must be a token and its id")
        }
        return Int32(id)
    }
}
