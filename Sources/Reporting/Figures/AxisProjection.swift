import Glibc

/// An axis fitted to values: from a value to its place, 0…1, and the ticks with their texts.
struct AxisProjection {
    /// A marked value.
    struct Tick {
        let value: Double
        let text: String
    }

    private let axis: ChartAxis
    /// The values at the axis's ends.
    let domain: ClosedRange<Double>
    let ticks: [Tick]

    init(_ axis: ChartAxis, values: some Sequence<Double>, maximumTicks: Int) {
        self.axis = axis
        domain = Self.domain(axis, values.filter(axis.canDraw), maximumTicks: maximumTicks)
        let marked: [Double] =
            switch axis.scale {
            case .linear: []
            case .log2: AxisTicks.logarithmic(in: domain, base: 2, atMost: maximumTicks)
            case .log10: AxisTicks.logarithmic(in: domain, base: 10, atMost: maximumTicks)
            }
        if marked.count >= 2 {
            ticks = marked.map { Tick(value: $0, text: Self.text($0, axis.format, decimals: nil)) }
        } else {
            // Linear, or a logarithmic axis so short that it holds no two powers.
            let step = AxisTicks.step(for: domain, atMost: maximumTicks)
            let scaled = if case .percent = axis.format { step * 100 } else { step }
            let decimals = max(0, Int(ceil(-log10(scaled) - 1e-9)))
            ticks = AxisTicks.linear(in: domain, atMost: maximumTicks).map {
                Tick(value: $0, text: Self.text($0, axis.format, decimals: decimals))
            }
        }
    }

    /// Where the value lies between the axis's ends, 0…1; nil when it has no place.
    func position(_ value: Double) -> Double? {
        guard axis.canDraw(value) else { return nil }
        let share =
            axis.scale == .linear
            ? (value - domain.lowerBound) / (domain.upperBound - domain.lowerBound)
            : log(value / domain.lowerBound) / log(domain.upperBound / domain.lowerBound)
        return axis.isReversed ? 1 - share : share
    }

    /// The given range; else all values, rounded out to ticks when linear, with a margin when logarithmic.
    private static func domain(_ axis: ChartAxis, _ values: [Double], maximumTicks: Int) -> ClosedRange<Double> {
        if let range = axis.range { return range }
        guard let least = values.min(), let most = values.max() else { return axis.scale == .linear ? 0...1 : 1...10 }
        guard axis.scale == .linear else {
            let margin = most > least * 1.001 ? pow(most / least, 0.04) : 2
            return least / margin...most * margin
        }
        let span = most - least
        let isFlat = span <= 1e-9 * max(least.magnitude, most.magnitude) || span < 1e-100
        let padding = isFlat ? max(least.magnitude, most.magnitude, 1e-90) / 2 : 0
        let padded = least - padding...most + padding
        let step = AxisTicks.step(for: padded, atMost: maximumTicks - 1)
        return (padded.lowerBound / step + 1e-9).rounded(.down) * step...(padded.upperBound / step - 1e-9).rounded(.up) * step
    }

    /// As short as the step allows; the unit stands in the axis's title, percent excepted.
    private static func text(_ value: Double, _ format: ValueFormat, decimals: Int?) -> String {
        if case .percent = format { return NumberFormat.percent(value, decimals: decimals ?? 0) }
        let isTiny = value.magnitude < 1e-3 && (decimals ?? 0) > 5
        if value != 0, value.magnitude >= 1e10 || isTiny { return NumberFormat.significant(value, digits: 2) }
        if let whole = Int(exactly: value) { return NumberFormat.count(whole) }
        if let decimals { return NumberFormat.fixed(value, decimals: decimals) }
        return HTMLText.coordinate(value) == "0" ? NumberFormat.significant(value, digits: 1) : "\(value)"
    }
}
