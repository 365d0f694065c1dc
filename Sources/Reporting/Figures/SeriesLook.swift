/// The look of the series with some number: a colour class and a shape, so that neither has to tell series apart alone.
struct SeriesLook {
    let number: Int

    var colourClass: String { "s\(number % 7)" }

    /// A shape around a place: circle, square, triangle or diamond.
    func shape(at place: (x: Double, y: Double), radius r: Double, kind: String = "shape point") -> String {
        let (x, y) = (HTMLText.coordinate(place.x), HTMLText.coordinate(place.y))
        let corners: String
        switch number % 4 {
        case 0: return "<circle class=\"\(kind)\" cx=\"\(x)\" cy=\"\(y)\" r=\"\(HTMLText.coordinate(r))\"/>"
        case 1: corners = "m\(-0.9 * r) \(-0.9 * r)h\(1.8 * r)v\(1.8 * r)h\(-1.8 * r)z"
        case 2: corners = "m0 \(-1.2 * r)l\(1.15 * r) \(2 * r)h\(-2.3 * r)z"
        default: corners = "m0 \(-1.3 * r)l\(1.3 * r) \(1.3 * r)l\(-1.3 * r) \(1.3 * r)l\(-1.3 * r) \(-1.3 * r)z"
        }
        return "<path class=\"\(kind)\" d=\"M\(x) \(y)\(corners)\"/>"
    }

    /// An entry of a legend: the look and its name.
    func legendItem(_ name: String, withLine: Bool, isOther: Bool = false) -> String {
        let line = withLine ? "<path class=\"line\" d=\"M1 7H25\"/>" : ""
        return """
            <li class="\(isOther ? "other" : colourClass)"><svg width="26" height="14" aria-hidden="true">\(line)\
            \(shape(at: (13, 7), radius: 4))</svg>\(HTMLText.escaped(name))</li>

            """
    }

    /// A legend of its entries; nothing when there is nothing to tell apart.
    static func legend(_ items: [String]) -> String {
        items.count > 1 ? list(items) : ""
    }

    /// A legend, whatever it holds.
    static func list(_ items: [String]) -> String {
        "<ul class=\"legend\">\n\(items.joined())</ul>\n"
    }
}
