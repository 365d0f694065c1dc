import Foundation

/// The four normalisation forms of Unicode (Standard Annex #15).
enum NormalizationForm: String, Sendable {
    case c = "NFC"
    case d = "NFD"
    case kc = "NFKC"
    case kd = "NFKD"

    /// The text in this form.
    ///
    /// Decomposed first, because composing alone leaves a Hangul syllable and a final consonant after it apart.
    func normalized(_ text: String) -> String {
        switch self {
        case .c: decomposed(text).precomposedStringWithCanonicalMapping
        case .kc: decomposed(text).precomposedStringWithCompatibilityMapping
        case .d, .kd: decomposed(text)
        }
    }

    /// The decomposed text. Its marks are put in order here: Foundation takes quadratic time for that, and leaves apart those of scalars
    /// that are no marks themselves but become some, such as U+0F73.
    private func decomposed(_ text: String) -> String {
        var result = String.UnicodeScalarView()
        var marks: [Unicode.Scalar] = []
        func finishMarks() {
            let order = marks.indices.sorted { (marks[$0].combiningClass, $0) < (marks[$1].combiningClass, $1) }
            for index in order { result.append(marks[index]) }
            marks.removeAll(keepingCapacity: true)
        }
        for scalar in text.unicodeScalars {
            for part in parts(of: scalar) {
                if part.combiningClass == 0 {
                    finishMarks()
                    result.append(part)
                } else {
                    marks.append(part)
                }
            }
        }
        finishMarks()
        return String(result)
    }

    private func parts(of scalar: Unicode.Scalar) -> String.UnicodeScalarView {
        let text = String(scalar)
        return switch self {
        case _ where scalar.isASCII: text.unicodeScalars
        case .c, .d: text.decomposedStringWithCanonicalMapping.unicodeScalars
        case .kc, .kd: text.decomposedStringWithCompatibilityMapping.unicodeScalars
        }
    }

    /// Writes a stretch in this form: part by part, each from a scalar that nothing before it joins to the next such scalar.
    ///
    /// - Complexity: a look at every scalar; a call of Foundation for every part that holds more than ASCII, but for parts seen lately.
    func normalize(_ range: Range<Int>, of scalars: TextScalars, into builder: inout PreparedText.Builder) {
        var memory: [ExactText: String] = [:]
        var start = range.lowerBound
        var position = range.lowerBound
        var isASCII = true
        func finish(_ builder: inout PreparedText.Builder) {
            guard start < position else { return }
            if isASCII { return builder.copy(start..<position) }
            let part = ExactText(String(decoding: scalars.bytes[start..<position], as: UTF8.self))
            let text = memory[part] ?? normalized(part.text)
            if memory.count < 1 << 12 { memory[part] = text }
            if ExactText(text) == part { builder.copy(start..<position) } else { builder.replace(start..<position, with: text) }
        }
        while position < range.upperBound {
            let (scalar, next) = scalars.scalar(at: position)
            if scalar.isASCII ? !isASCII : beginsPart(scalar) {
                finish(&builder)
                (start, isASCII) = (position, true)
            } else if !scalar.isASCII, isASCII, start < position - 1 {
                // Of the characters before a mark only the last one is joined to it.
                position -= 1
                finish(&builder)
                start = position
            }
            isASCII = isASCII && scalar.isASCII
            position = next
        }
        finish(&builder)
    }

    /// True when nothing before the scalar is joined to it: what it is decomposed to begins with a scalar that composition leaves alone.
    private func beginsPart(_ scalar: Unicode.Scalar) -> Bool {
        guard !CompositionTable.mayChange(scalar) else { return false }
        guard let first = normalized(String(scalar)).unicodeScalars.first else { return false }
        return first == scalar || !CompositionTable.mayChange(first)
    }
}

extension Unicode.Scalar {
    fileprivate var combiningClass: UInt8 { properties.canonicalCombiningClass.rawValue }
}
