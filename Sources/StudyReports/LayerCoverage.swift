/// Which layers of a model a result is about: those that sparse attention can gain in.
enum LayerCoverage {
    /// For people: all of them, or those there are and why not the others.
    static func text(_ layers: some Sequence<Int>, of count: Int) -> String {
        let shown = Set(layers).sorted()
        guard shown.count < count else { return "all \(count)" }
        return "\(shown.map(String.init).joined(separator: ", ")) of \(count); the others have a window of their own, which they keep, or "
            + "were not captured"
    }
}
