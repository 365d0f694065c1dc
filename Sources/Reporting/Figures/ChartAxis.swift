/// What one direction of a chart measures, and how it is drawn.
package struct ChartAxis: Hashable, Sendable {
    /// How values are laid out along the axis.
    package enum Scale: Hashable, Sendable {
        case linear
        /// Logarithmic, marked at powers of two: for lengths in tokens. Values that are not positive are left out.
        case log2
        /// Logarithmic, marked at powers of ten. Values that are not positive are left out.
        case log10
    }

    /// What is measured, without its unit, which `format` knows: "length", "time".
    package let label: String
    package let scale: Scale
    package let format: ValueFormat
    /// The part to show; nil shows all values. Values outside are left out.
    package let range: ClosedRange<Double>?
    /// Whether values grow down or to the left, as rows of a matrix do.
    var isReversed = false

    package init(
        _ label: String, scale: Scale = .linear, format: ValueFormat = .significant(3), range: ClosedRange<Double>? = nil
    ) {
        if let range { precondition(range.lowerBound < range.upperBound, "an axis has an extent") }
        if let range, scale != .linear { precondition(range.lowerBound > 0, "a logarithm needs positive numbers") }
        self.label = label
        self.scale = scale
        self.format = format
        self.range = range
    }

    /// The label with its unit: "time, ms".
    var title: String {
        switch format {
        case .milliseconds: label + ", ms"
        case .seconds: label + ", s"
        default: label
        }
    }

    /// Whether a value has a place on the axis. Past 10¹⁰⁰ a chart says nothing, and its arithmetic would overflow.
    func canDraw(_ value: Double) -> Bool {
        value.isFinite && value.magnitude < 1e100 && (scale == .linear || value > 1e-100)
            && (range?.contains(value) ?? true)
    }
}
