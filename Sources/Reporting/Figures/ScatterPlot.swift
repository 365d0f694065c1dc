/// Labelled points: configurations by cost and quality, those on a front highlighted and joined; or heads by two measurements
/// of one thing, coloured by layer, beside the line where the two agree.
public struct ScatterPlot: Hashable, Sendable {
    /// A labelled pair of values; not drawn when either is NaN or infinite.
    public struct Point: Hashable, Sendable {
        public let x: Double
        public let y: Double
        public let label: String
        /// Whether the highlighted line goes through this point.
        public let isOnFront: Bool
        /// What the point belongs to, such as its layer. Where points have groups, these have the colours.
        public let group: String?

        public init(_ x: Double, _ y: Double, label: String, isOnFront: Bool = false, group: String? = nil) {
            self.x = x
            self.y = y
            self.label = label
            self.isOnFront = isOnFront
            self.group = group
        }
    }

    public let title: String
    public let x: ChartAxis
    public let y: ChartAxis
    public let points: [Point]
    /// Thresholds and equality, which the points are compared with.
    public var rules: [ChartRule] = []
    /// What the points on the front are called in the legend.
    public var frontName = "Pareto front"
    /// What the other points are called in the legend.
    public var othersName = "other"
    /// Whether every point has its name beside it, where there is room, and not those on the front alone.
    public var namesEveryPoint = false
    /// A sentence below the title.
    public var caption: String?

    public init(title: String, x: ChartAxis, y: ChartAxis, points: [Point]) {
        self.title = title
        self.x = x
        self.y = y
        self.points = points
    }
}
