import Reporting
import Testing

private func html(_ values: [[Double]], range: ClosedRange<Double>? = nil) -> String {
    var map = Heatmap(
        title: "Mass", rows: .numbered("layer", values.count), columns: .numbered("head", values.first?.count ?? 0),
        values: values, format: .fixed(decimals: 3))
    map.range = range
    return HTMLReport(title: "t", summary: "s", sections: [.heatmap(map)]).html()
}

/// The colour of the cell that tells `label`.
private func colour(of label: String, in html: String) -> String? {
    guard let cell = html.firstRange(of: "aria-label=\"\(label)\"") else { return nil }
    let rest = html[cell.upperBound...].prefix { $0 != "\n" }
    return rest.firstRange(of: "fill=\"").map { String(rest[$0.upperBound...].prefix(7)) }
}

@Suite struct HeatmapTests {
    private let least = ColourScale.colour(at: 0).hex
    private let most = ColourScale.colour(at: 1).hex

    @Test func cellsTellTheirValue() {
        let html = html([[0.5, 0.942371], [0.1, 1]])
        #expect(html.contains("role=\"gridcell\" tabindex=\"-1\" data-row=\"0\" data-column=\"1\" aria-label=\"layer 0, head 1: 0.942\">"))
        #expect(html.contains("<title>layer 0, head 1: 0.942</title>"))
        #expect(html.count(of: "role=\"gridcell\"") == 4)
        #expect(html.count(of: "role=\"gridcell\" tabindex=\"0\"") == 1)
        #expect(html.count(of: "role=\"columnheader\"") == 2 && html.count(of: "role=\"rowheader\"") == 2)
    }

    @Test func theRangeIsThatOfTheFiniteValues() {
        let html = html([[0.25, .nan, .infinity], [0.75, -.infinity, 0.5]])
        #expect(colour(of: "layer 0, head 0: 0.250", in: html) == least)
        #expect(colour(of: "layer 1, head 0: 0.750", in: html) == most)
        #expect(colour(of: "layer 1, head 2: 0.500", in: html) == ColourScale.colour(at: 0.5).hex)
    }

    @Test func missingValuesAreDashes() {
        let page = html([[0.25, .nan, .infinity], [0.75, -.infinity, 0.5]])
        for label in ["layer 0, head 1: –", "layer 0, head 2: –", "layer 1, head 1: –"] {
            #expect(page.contains("aria-label=\"\(label)\""))
            #expect(colour(of: label, in: page) == nil)
        }
        #expect(page.count(of: "class=\"shape missing\"") == 3)
        #expect(page.contains("– no value"))
        #expect(!html([[0.25, 0.5]]).contains("– no value"))
    }

    @Test func nothingButMissingValues() {
        let html = html([[.nan, .nan]])
        #expect(html.count(of: "class=\"shape missing\"") == 2)
        #expect(html.contains("– no value"))
    }

    @Test func valuesOutsideTheRangeTakeTheEnds() {
        let html = html([[-1, 0, 1, 2]], range: 0...1)
        #expect(colour(of: "layer 0, head 0: -1.000", in: html) == least)
        #expect(colour(of: "layer 0, head 3: 2.000", in: html) == most)
        #expect(html.contains(">0.500</text>"))
    }

    @Test func oneValueEverywhereAndTheLargestNumbers() {
        #expect(colour(of: "layer 0, head 0: 3.000", in: html([[3, 3]])) == ColourScale.colour(at: 0.5).hex)
        let large = Double.greatestFiniteMagnitude
        let page = html([[-large, 0, large]])
        #expect(colour(of: "layer 0, head 1: 0.000", in: page) == ColourScale.colour(at: 0.5).hex)
    }

    @Test func valuesArePrintedInFewColumnsOnly() {
        let row = (0..<17).map { 0.5 + Double($0) / 1000 }
        #expect(html([Array(row.prefix(16))]).contains(">0.501</text>"))
        #expect(!html([row]).contains(">0.501</text>"))
        #expect(html([row]).contains("aria-label=\"layer 0, head 1: 0.501\""))
    }

    @Test func emptyMapsAreDrawn() {
        #expect(html([]).contains("role=\"grid\""))
        #expect(html([[], []]).contains("role=\"grid\""))
    }

    /// The order of colours survives a black-and-white print, and equal steps look about equal (CIE lightness).
    @Test func coloursAreOrderedAndEven() {
        let lightness = (0...20).map { step in
            let luminance = ColourScale.colour(at: Double(step) / 20).luminance
            return luminance > 0.008856 ? 116 * Double.cubeRoot(luminance) - 16 : 903.3 * luminance
        }
        let steps = zip(lightness.dropFirst(), lightness).map { $0 - $1 }
        #expect(steps.min()! > 2.5, "\(steps)")
        #expect(steps.max()! / steps.min()! < 1.6, "\(steps)")
    }

    @Test func textReadsOnEveryColour() {
        for step in 0...100 {
            let colour = ColourScale.colour(at: Double(step) / 100)
            let ink = colour.textHex == "#ffffff" ? 1.0 : 0.0065
            let ratio = (max(ink, colour.luminance) + 0.05) / (min(ink, colour.luminance) + 0.05)
            #expect(ratio >= 4, "\(colour)")
        }
    }
}

extension Double {
    /// By Newton's method, for numbers in 0…1.
    fileprivate static func cubeRoot(_ value: Double) -> Double {
        (0..<60).reduce(1.0) { root, _ in (2 * root + value / (root * root)) / 3 }
    }
}
