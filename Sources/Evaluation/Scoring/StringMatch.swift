/// The share of the known answers that occur anywhere in the answer, both in lower case. White space at the answer's ends is dropped,
/// and its control characters are newlines.
///
/// Source: RULER (arXiv 2404.06654), section 3: `string_match_all` (the share), `string_match_part` (whether any does) and
/// `postprocess_pred` of its repository.
enum StringMatch {
    static func share(_ answer: String, known: [String]) -> Double {
        let printable = Array(answer.unicodeScalars).trimmed.map { $0.value < 0x20 ? "\n" : $0 }
        let answer = printable.trimmed.lowered
        let found = known.count { name in
            let name = Array(name.unicodeScalars).lowered
            return name.isEmpty || answer.contains(name)
        }
        return Double(found) / Double(known.count)
    }
}
