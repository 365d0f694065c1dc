/// Values that follow one another along an axis, one line for each series.
///
/// A few series have a colour and a shape each. With groups a chart holds hundreds: thin lines in their group's colour, of which
/// the one pointed at stands out and tells its name, as do its points. At most some 1,024 points tell their values:
/// among more, evenly chosen ones of each line.
public struct LineChart: Hashable, Sendable {
    /// A pair of values; where either is NaN or infinite the line has a gap.
    public struct Point: Hashable, Sendable {
        public let x: Double
        public let y: Double

        public init(_ x: Double, _ y: Double) {
            self.x = x
            self.y = y
        }
    }

    /// A named line through points, in the order given.
    public struct Series: Hashable, Sendable {
        public let name: String
        public let points: [Point]
        /// What the line belongs to, such as its layer. Where lines have groups, these have the colours.
        public let group: String?

        public init(_ name: String, _ points: [Point], group: String? = nil) {
            self.name = name
            self.points = points
            self.group = group
        }
    }

    public let title: String
    public let x: ChartAxis
    public let y: ChartAxis
    public let series: [Series]
    /// Thresholds that the lines are compared with.
    public var rules: [ChartRule] = []
    /// A sentence below the title.
    public var caption: String?

    public init(title: String, x: ChartAxis, y: ChartAxis, series: [Series]) {
        self.title = title
        self.x = x
        self.y = y
        self.series = series
    }
}
