/// The elements of drawings. Text is escaped; lengths are in the drawing's units.
enum SVG {
    /// Text that starts, is centred or ends (`anchor`) at a place on its base line.
    static func text(_ content: String, _ x: Double, _ y: Double, _ anchor: String, _ attributes: String = "") -> String {
        """
        <text\(attributes) x="\(HTMLText.coordinate(x))" y="\(HTMLText.coordinate(y))" text-anchor="\(anchor)">\
        \(HTMLText.escaped(content))</text>

        """
    }

    /// A straight line whose look is a class of the style sheet.
    static func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ kind: String = "grid") -> String {
        let ends = zip(["x1", "y1", "x2", "y2"], [x1, y1, x2, y2]).map { "\($0)=\"\(HTMLText.coordinate($1))\"" }
        return "<line class=\"\(kind)\" \(ends.joined(separator: " "))/>\n"
    }

    /// A box that is seen only while it is pointed at or has the focus.
    static func band(x: Double, y: Double, width: Double, height: Double) -> String {
        let sides = zip(["x", "y", "width", "height"], [x, y, width, height]).map { "\($0)=\"\(HTMLText.coordinate($1))\"" }
        return "<rect class=\"band\" \(sides.joined(separator: " "))/>"
    }

    /// The data of an open path through `places`; a nil is a gap.
    static func path(_ places: some Sequence<(x: Double, y: Double)?>) -> String {
        var data = ""
        var continues = false
        for place in places {
            if let place {
                data += (continues ? "L" : "M") + HTMLText.coordinate(place.x) + " " + HTMLText.coordinate(place.y)
            }
            continues = place != nil
        }
        return data
    }
}
