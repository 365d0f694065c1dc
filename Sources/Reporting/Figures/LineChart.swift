/// Values that follow one another along an axis, one line for each series.
///
/// A few series have a colour and a shape each. With groups a chart holds hundreds: thin lines in their group's colour, of which
/// the one pointed at stands out and tells its name, as do its points. At most some 1,024 points tell their values:
/// among more, evenly chosen ones of each line.
package struct LineChart: Hashable, Sendable {
    /// A pair of values; where either is NaN or infinite the line has a gap.
    package struct Point: Hashable, Sendable {
        package let x: Double
        package let y: Double

        package init(_ x: Double, _ y: Double) {
            self.x = x
            self.y = y
        }
    }

    /// A named line through points, in the order given.
    package struct Series: Hashable, Sendable {
        package let name: String
        package let points: [Point]
        /// What the line belongs to, such as its layer. Where lines have groups, these have the colours.
        package let group: String?

        package init(_ name: String, _ points: [Point], group: String? = nil) {
            self.name = name
            self.points = points
            self.group = group
        }
    }

    package let title: String
    package let x: ChartAxis
    package let y: ChartAxis
    package let series: [Series]
    /// Thresholds that the lines are compared with.
    package var rules: [ChartRule] = []
    /// A sentence below the title.
    package var caption: String?

    package init(title: String, x: ChartAxis, y: ChartAxis, series: [Series]) {
        self.title = title
        self.x = x
        self.y = y
        self.series = series
    }
}
