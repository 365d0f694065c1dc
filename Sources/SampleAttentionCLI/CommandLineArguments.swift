import AttentionCore

/// What the user typed, made ready for the parser.
struct CommandLineArguments {
    /// A value that begins with a dash is joined to the option before it where it cannot be an option: a negative number, which the parser
    /// would otherwise refuse before the option's own rule is heard, and whatever follows an option that takes anything.
    private(set) var words: [String] = []
    /// True when --json stands where an option does; for failures of the parser itself, which leave no parsed flag.
    private(set) var asksForJSON = false

    /// Options whose value may be anything (`.unconditional`).
    private static let takingAnything: Set<String> = ["--prompt", "--system"]

    /// - Parameter typed: without the program's name.
    init(_ typed: some Collection<String>) {
        var rest = typed[...]
        while let word = rest.popFirst() {
            // Nothing behind this is an option.
            if word == "--" {
                words += [word] + rest
                return
            }
            if word == "--json" { asksForJSON = true }
            guard word.hasPrefix("--"), !word.contains("="), let next = rest.first else {
                words.append(word)
                continue
            }
            if next.hasPrefix("-"), Self.takingAnything.contains(word) || Double(next) != nil {
                words.append("\(word)=\(next)")
                rest.removeFirst()
            } else {
                words.append(word)
            }
        }
    }

    /// - Throws: `InputError` (`usage`) for an argument that is not UTF-8, which Swift would have changed in silence.
    static func checkEncoding() throws(InputError) {
        for (index, text) in CommandLine.arguments.enumerated().dropFirst() {
            guard let bytes = CommandLine.unsafeArgv[index], String(validatingCString: bytes) != nil else {
                throw InputError(.usage, field: "argument \(index)", value: text, rule: "must be UTF-8")
            }
        }
    }
}
