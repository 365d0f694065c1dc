/// Labelled points: configurations by cost and quality, those on a front highlighted and joined; or heads by two measurements
/// of one thing, coloured by layer, beside the line where the two agree.
package struct ScatterPlot: Hashable, Sendable {
    /// A labelled pair of values; not drawn when either is NaN or infinite.
    package struct Point: Hashable, Sendable {
        package let x: Double
        package let y: Double
        package let label: String
        /// Whether the highlighted line goes through this point.
        package let isOnFront: Bool
        /// What the point belongs to, such as its layer. Where points have groups, these have the colours.
        package let group: String?

        package init(_ x: Double, _ y: Double, label: String, isOnFront: Bool = false, group: String? = nil) {
            self.x = x
            self.y = y
            self.label = label
            self.isOnFront = isOnFront
            self.group = group
        }
    }

    package let title: String
    package let x: ChartAxis
    package let y: ChartAxis
    package let points: [Point]
    /// Thresholds and equality, which the points are compared with.
    package var rules: [ChartRule] = []
    /// What the points on the front are called in the legend.
    package var frontName = "Pareto front"
    /// What the other points are called in the legend.
    package var othersName = "other"
    /// Whether every point has its name beside it, where there is room, and not those on the front alone.
    package var namesEveryPoint = false
    /// A sentence below the title.
    package var caption: String?

    package init(title: String, x: ChartAxis, y: ChartAxis, points: [Point]) {
        self.title = title
        self.x = x
        self.y = y
        self.points = points
    }
}
