/// A strip that shows all the colours of `ColourScale`, least on the left.
enum ColourBar {
    /// The strip, in so many steps, with its upper left corner at a place.
    static func svg(x: Double = 0, y: Double = 0, width: Double, height: Double, steps: Int = 48) -> String {
        let step = width / Double(steps)
        let cells = (0..<steps).map { index in
            let colour = ColourScale.colour(at: Double(index) / Double(steps - 1))
            return """
                <rect x="\(HTMLText.coordinate(x + step * Double(index)))" y="\(HTMLText.coordinate(y))" \
                width="\(HTMLText.coordinate(step))" height="\(HTMLText.coordinate(height))" fill="\(colour.hex)"/>
                """
        }
        return "<g shape-rendering=\"crispEdges\">\(cells.joined())</g>\n"
    }
}
