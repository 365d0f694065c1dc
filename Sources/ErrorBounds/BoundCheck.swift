/// Where a measurement was made.
public struct RowLocation: Hashable, Sendable, Encodable {
    /// The label of the head and mask.
    public let label: String
    /// The query row, 0 ..< queryCount.
    public let row: Int

    public init(label: String, row: Int) {
        self.label = label
        self.row = row
    }
}

/// A running count of measurements against a limit.
public struct BoundTally: Hashable, Sendable {
    /// Measurements so far.
    public private(set) var checked = 0
    /// Measurements above bound + allowance, infinite, or NaN.
    public private(set) var violations = 0
    /// The largest measured/bound, over bounds of at least `resolution` allowances; 0 before the first.
    ///
    /// Below that the measured error is rounding, and a ratio to it says nothing; such cases are still checked.
    public private(set) var maxRatio = 0.0
    /// Where `maxRatio` was measured.
    public private(set) var worst: RowLocation?
    /// Where the first violation was.
    public private(set) var firstViolation: RowLocation?

    /// Bounds of fewer allowances than this give no ratio; it keeps the ratio's own error below 1/1000.
    public static var resolution: Double { 1000 }

    public init() {}

    /// Adds one measurement. A bound of 0 is met by an error within the allowance.
    public mutating func record(
        measured: Double, bound: Double, allowance: Double, at location: @autoclosure () -> RowLocation
    ) {
        checked += 1
        if !(measured <= bound + allowance && measured < .infinity) {
            violations += 1
            firstViolation = firstViolation ?? location()
        }
        guard bound > 0, bound >= Self.resolution * allowance, measured / bound > maxRatio else { return }
        maxRatio = measured / bound
        worst = location()
    }

    /// Adds another tally; on equal ratios this one's place stays.
    public mutating func merge(_ other: BoundTally) {
        checked += other.checked
        violations += other.violations
        firstViolation = firstViolation ?? other.firstViolation
        if other.maxRatio > maxRatio {
            maxRatio = other.maxRatio
            worst = other.worst
        }
    }
}

/// One claim with everything measured against it.
///
/// `cases` are heads under a mask: the largest row error against (1 − CRA)·c, the theorem as stated. `rows` is the stronger
/// form, each row's error against its own (1 − r)·c; it implies the first.
public struct BoundCheck: Hashable, Sendable {
    public let name: String
    /// True when the claim is a theorem, so that a violation means a defect.
    public let valid: Bool
    public let statement: String
    public internal(set) var cases = BoundTally()
    public internal(set) var rows = BoundTally()

    init(name: String, valid: Bool, statement: String) {
        self.name = name
        self.valid = valid
        self.statement = statement
    }

    public var checked: Int { cases.checked + rows.checked }
    public var violations: Int { cases.violations + rows.violations }
    /// The tightest measured/bound of either form.
    public var maxRatio: Double { max(cases.maxRatio, rows.maxRatio) }
    /// Where `maxRatio` was measured; nil when nothing was.
    public var worst: RowLocation? { rows.maxRatio > cases.maxRatio ? rows.worst : cases.worst ?? rows.worst }
    /// Where a violation was, if any.
    public var firstViolation: RowLocation? { cases.firstViolation ?? rows.firstViolation }
    /// True when it is a theorem and something contradicts it.
    public var isBroken: Bool { valid && violations > 0 }
    /// One line with the claim, the head and the row of the first violation; nil where there is none.
    public var violationDescription: String? {
        firstViolation.map { "\(name): \($0.label): query \($0.row): \(violations) of \(checked) checks broken: \(statement)" }
    }

    mutating func merge(_ other: BoundCheck) {
        precondition(name == other.name && valid == other.valid, "only checks of the same claim can be merged")
        cases.merge(other.cases)
        rows.merge(other.rows)
    }
}

extension BoundCheck: Encodable {
    private enum Key: String, CodingKey { case name, valid, statement, checked, violations, maxRatio, worst, firstViolation }

    /// Keys: name, valid, statement, checked, violations, maxRatio, and where they exist worst and firstViolation.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(name, forKey: .name)
        try container.encode(valid, forKey: .valid)
        try container.encode(statement, forKey: .statement)
        try container.encode(checked, forKey: .checked)
        try container.encode(violations, forKey: .violations)
        try container.encode(maxRatio, forKey: .maxRatio)
        try container.encodeIfPresent(worst, forKey: .worst)
        try container.encodeIfPresent(firstViolation, forKey: .firstViolation)
    }
}
