/// The share of the numbers in an answer that are the right one, digit by digit; 0 without numbers.
///
/// Source: LongBench (arXiv 2308.14508), passage retrieval and passage count.
enum NumberShare {
    static func score(_ answer: String, number: ScalarText) -> Double {
        let numbers = Array(answer.unicodeScalars).numbers
        return numbers.isEmpty ? 0 : Double(numbers.count { $0 == number }) / Double(numbers.count)
    }

    /// The number after the first "Paragraph " or "段落" that one follows; nil without one.
    static func paragraph(in known: String) -> ScalarText? {
        let known = Array(known.unicodeScalars)
        for word in ["Paragraph ", "段落"] {
            for range in known.ranges(of: Array(word.unicodeScalars)) {
                let digits = known[range.upperBound...].prefix { $0.properties.generalCategory == .decimalNumber }
                if !digits.isEmpty { return Array(digits) }
            }
        }
        return nil
    }
}
