/// Text on its way into HTML or SVG. Everything that comes from outside passes through here, once.
enum HTMLText {
    /// `text` with all that HTML gives a meaning replaced by references; safe as content and in quoted attributes.
    ///
    /// Control characters, which HTML forbids, become U+FFFD; so do the direction overrides, which let a name
    /// display as another.
    static func escaped(_ text: some StringProtocol) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            case "\n", "\t": result.unicodeScalars.append(scalar)
            case "\0"..<" ", "\u{7F}"..<"\u{A0}", "\u{202A}"..."\u{202E}", "\u{2066}"..."\u{2069}":
                result += "\u{FFFD}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// A length or position in a drawing: two decimals at most, no trailing zeros.
    static func coordinate(_ value: Double) -> String {
        var text = NumberFormat.fixed(value, decimals: 2)
        while text.hasSuffix("0") { text.removeLast() }
        if text.hasSuffix(".") { text.removeLast() }
        return text
    }
}
