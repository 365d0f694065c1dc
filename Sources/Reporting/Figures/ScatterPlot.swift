/// Labelled points, those on a front highlighted and joined: configurations by cost and quality.
public struct ScatterPlot: Hashable, Sendable {
    /// A labelled pair of values; not drawn when either is NaN or infinite.
    public struct Point: Hashable, Sendable {
        public let x: Double
        public let y: Double
        public let label: String
        /// Whether the highlighted line goes through this point.
        public let isOnFront: Bool

        public init(_ x: Double, _ y: Double, label: String, isOnFront: Bool = false) {
            self.x = x
            self.y = y
            self.label = label
            self.isOnFront = isOnFront
        }
    }

    public let title: String
    public let x: ChartAxis
    public let y: ChartAxis
    public let points: [Point]
    /// What the points on the front are called in the legend.
    public var frontName = "Pareto front"
    /// What the other points are called in the legend.
    public var othersName = "other"
    /// A sentence below the title.
    public var caption: String?

    public init(title: String, x: ChartAxis, y: ChartAxis, points: [Point]) {
        self.title = title
        self.x = x
        self.y = y
        self.points = points
    }
}
