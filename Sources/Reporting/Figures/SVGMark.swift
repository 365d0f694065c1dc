/// Something in a drawing that has a value to tell: on hover and touch, on keyboard focus, and to screen readers.
struct SVGMark {
    /// What it tells: "layer 3, head 2: 0.942".
    let label: String
    /// Where the arrow keys find it; the mark at `isFirst` is the figure's one tab stop.
    let row: Int
    let column: Int
    let isFirst: Bool
    /// `img` in charts, `gridcell` in heat maps.
    let role: String

    func svg(_ content: String) -> String {
        let text = HTMLText.escaped(label)
        return """
            <g class="mark" role="\(role)" tabindex="\(isFirst ? 0 : -1)" data-row="\(row)" data-column="\(column)" \
            aria-label="\(text)"><title>\(text)</title>\(content)</g>

            """
    }
}
