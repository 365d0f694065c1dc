/// A finite number as decimal digits: ± 0.d₁d₂d₃… × 10^exponent, from the shortest text that reads back as the same number.
///
/// Rounding these digits rounds what a reader sees (1.115 to two decimals is 1.12), in every locale alike.
struct DecimalDigits {
    private var isNegative: Bool
    private var digits: [UInt8]
    private(set) var exponent: Int

    init(_ value: Double) {
        precondition(value.isFinite, "only finite numbers have digits")
        isNegative = value.sign == .minus
        digits = []
        var pointPosition: Int?
        let parts = "\(value.magnitude)".split(separator: "e")
        for character in parts[0] {
            if let digit = character.wholeNumberValue { digits.append(UInt8(digit)) } else { pointPosition = digits.count }
        }
        exponent = (pointPosition ?? digits.count) + (parts.count > 1 ? Int(parts[1])! : 0)
        let leadingZeros = digits.prefix { $0 == 0 }.count
        digits.removeFirst(leadingZeros)
        exponent = digits.isEmpty ? 0 : exponent - leadingZeros
    }

    var isZero: Bool { digits.allSatisfy { $0 == 0 } }

    /// Keeps the first `count` digits (0 or fewer: all are dropped), rounding half away from zero.
    mutating func round(toDigits count: Int) {
        guard count < digits.count else { return }
        let roundsUp = count >= 0 && digits[count] >= 5
        digits.removeLast(digits.count - max(0, count))
        guard roundsUp else { return }
        var position = digits.count - 1
        while position >= 0, digits[position] == 9 {
            digits[position] = 0
            position -= 1
        }
        if position >= 0 {
            digits[position] += 1
        } else {
            digits.insert(1, at: 0)
            exponent += 1
        }
    }

    /// Plain notation with exactly `decimals` digits after the point; minus zero loses its sign.
    func plain(decimals: Int, grouped: Bool = false) -> String {
        let whole = exponent > 0 ? (0..<exponent).map { digit(at: $0) } : [0]
        var text = isNegative && !isZero ? "-" : ""
        for (index, digit) in whole.enumerated() {
            if grouped, index > 0, (whole.count - index).isMultiple(of: 3) { text += "," }
            text += "\(digit)"
        }
        guard decimals > 0 else { return text }
        return text + "." + (exponent..<exponent + decimals).map { "\(digit(at: $0))" }.joined()
    }

    /// Scientific notation with `count` digits: `1.23e-7`.
    func scientific(digits count: Int) -> String {
        var mantissa = self
        mantissa.exponent = 1
        return mantissa.plain(decimals: max(0, count - 1)) + "e\(exponent - 1)"
    }

    /// The digit at a place right of the number's first one; zero outside what is stored.
    private func digit(at place: Int) -> UInt8 {
        digits.indices.contains(place) ? digits[place] : 0
    }
}
