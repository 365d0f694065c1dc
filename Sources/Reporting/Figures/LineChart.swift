/// Values that follow one another along an axis, one line for each series.
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

        public init(_ name: String, _ points: [Point]) {
            self.name = name
            self.points = points
        }
    }

    public let title: String
    public let x: ChartAxis
    public let y: ChartAxis
    public let series: [Series]
    /// A sentence below the title.
    public var caption: String?

    public init(title: String, x: ChartAxis, y: ChartAxis, series: [Series]) {
        self.title = title
        self.x = x
        self.y = y
        self.series = series
    }
}
