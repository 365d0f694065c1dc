import Reporting
import Testing

/// Four rows of cells on eight tokens; what each test is about is given.
private func map(
    mass: [[Double]] = [[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0.1, 0.01, 0.89, 0], [0.001, 0.001, 0.008, 0.99]],
    kept: [[Double]] = [[1, 0, 0, 0], [1, 1, 0, 0], [0.25, 0, 1, 0], [0, 0, 1, 1]], window: Int? = 2, retained: [Double]? = nil,
    importance: [Double] = [0.7, 0.2, 0, 0.1], selected: [Double] = [1, 0.5, 0, 0]
) -> AttentionMap {
    AttentionMap(
        title: "Layer 1", length: 8, mass: mass,
        importance: .init(
            byKey: importance, selected: selected, cumulative: [.init(1, 0.5), .init(2, 0.8), .init(3, 0.92), .init(8, 1)], alpha: 0.9,
            selectedCount: 3),
        pattern: .init(window: window, kept: kept, density: 0.528, retainedMass: 0.975, retainedByQuery: retained))
}

private func html(_ map: AttentionMap) -> String {
    HTMLReport(title: "t", summary: "s", sections: [.attentionMap(map)]).html()
}

/// The groups of cells, attention first and mask second.
private func cells(_ map: AttentionMap) -> [Substring] {
    html(map).split(separator: "<g class=\"cells\"").dropFirst().map { $0.prefix(upTo: $0.firstRange(of: "</g>")!.lowerBound) }
}

@Suite struct AttentionMapTests {
    @Test func threePanelsTellTheirFigures() {
        let page = html(map())
        #expect(page.count(of: "<div class=\"panel\">") == 3)
        for figure in [
            "3 of 8 columns selected for α = 0.9 of the sampled rows", ">α = 0.9</text>", ">k = 3</text>", "Window of 2 tokens",
            "52.8 % of the pairs hold 97.5 % of the mass",
        ] { #expect(page.contains(figure), "\(figure)") }
        #expect(html(map(window: nil)).contains("No window"))
        #expect(html(map(window: 1)).contains("Window of 1 token<"))
    }

    /// Block lines are told in words, and where no single columns are selected the panel about them is left out.
    @Test func blockLinesStandInPlaceOfAWindow() {
        let source = map(window: nil)
        var pattern = source.pattern
        pattern.blockLines = .init(columns: 1200, slashes: 1, width: 128)
        let page = html(AttentionMap(title: "Layer 1", length: 8, mass: source.mass, importance: nil, pattern: pattern))
        #expect(page.count(of: "<div class=\"panel\">") == 2)
        #expect(page.contains("1,200 columns and 1 slash of 128-token blocks"))
        for word in ["window", "Window", "Importance", "k ="] { #expect(!page.dropFirst(10_000).contains("\(word) of"), "\(word)") }
    }

    /// A fixed number of columns has no α, and a dense head no cut-off.
    @Test func whatWasNotAskedForIsNotDrawn() {
        let source = map()
        func page(alpha: Double?, count: Int?) -> String {
            let own = source.importance!
            return html(
                AttentionMap(
                    title: "Layer 1", length: 8, mass: source.mass,
                    importance: .init(
                        byKey: own.byKey, selected: own.selected, cumulative: own.cumulative, alpha: alpha, selectedCount: count),
                    pattern: source.pattern))
        }
        let fixed = page(alpha: nil, count: 3)
        #expect(fixed.contains(">3 of 8 columns selected</span>") && fixed.contains(">k = 3</text>") && !fixed.contains(">α ="))
        let dense = page(alpha: nil, count: nil)
        #expect(dense.contains("All columns are kept") && !dense.contains(">k =") && !dense.contains("<path class=\"area\""))
    }

    @Test func marksTellOfStretchesOfTheirAxis() {
        let page = html(map(retained: [1, 1, 0.9, 0.99]))
        #expect(page.contains("aria-label=\"keys 2 to 3: importance 0.200, 50.0 % selected\""))
        #expect(page.contains("data-row=\"2\" data-column=\"0\" aria-label=\"queries 4 to 5: most mass, 89.0 %, on keys 4 to 5\""))
        // Two cells below the diagonal, one kept in a quarter, and the diagonal's, which has half the pairs.
        #expect(page.contains("aria-label=\"queries 4 to 5: 30.0 % of the pairs hold 90.0 % of the mass\""))
        #expect(html(map()).contains("aria-label=\"queries 4 to 5: 30.0 % of the pairs kept\""))
        // One tab stop for each of the four drawings.
        #expect(page.count(of: "tabindex=\"0\" data-row") == 4)
    }

    @Test func valuesAreTheRows() {
        let row = "<tr><td>4 to 5</td><td>4 to 5</td><td class=\"number\">89.0 %</td><td class=\"number\">30.0 %</td>"
        #expect(html(map()).contains(row + "</tr>"))
        #expect(html(map(retained: [1, 1, 0.9, 0.99])).contains(row + "<td class=\"number\">90.0 %</td></tr>"))
    }

    @Test func massIsColouredByItsLogarithm() throws {
        let attention = try #require(cells(map(mass: [[1, 9, 9, 9], [1e-4, 1, 9, 9], [1e-2, 1e-2, 1, 9], [1, 1, 1, 1]])).first)
        let colours = attention.matches(of: /stroke="(#\w+)" transform="\S+ \S+" d="([^"]+)"/).map { ("\($0.1)", "\($0.2)") }
        // The least, the middle of the four powers of ten, and the most; nothing above the diagonal.
        #expect(colours.map(\.0) == [0, 8, 15].map { ColourScale.colour(at: $0 / 15).hex })
        #expect(colours.map(\.1) == ["M0 1h1", "M0 2h2", "M0 0h1M1 1h1M2 2h1M0 3h4"])
    }

    @Test func massesFarBelowTheMostShareAColour() throws {
        let attention = try #require(cells(map(mass: [[1, 0, 0, 0], [1e-6, 1, 0, 0], [1e-20, 0, 1, 0], [1, 1, 1, 1]])).first)
        #expect(attention.count(of: "<path") == 2)
    }

    @Test func theMaskFadesWhatIsDropped() throws {
        let mask = try #require(cells(map()).last)
        let coloured = mask.split(separator: "\n").filter { $0.contains("stroke=\"#") }.joined()
        // The cells (2, 1), (3, 0) and (3, 1) are dropped.
        #expect(!coloured.contains("M1 2") && !coloured.contains("M0 3") && !coloured.contains("M1 3"))
        #expect(mask.contains(/<path class="grey0" transform="\S+ \S+" d="M0 3h2"\/>/))
        #expect(mask.contains(/<path class="grey1" transform="\S+ \S+" d="M1 2h1"\/>/))
        // A quarter is kept of (2, 0): half of the veil.
        #expect(mask.contains(/<path class="grey0" stroke-opacity="0.4" transform="\S+ \S+" d="M0 2h1"\/>/))
        #expect(mask.count(of: "stroke-opacity") == 1)
    }

    @Test func moreKeptMeansLessVeil() throws {
        let opacities = try [0.01, 0.1, 0.3, 0.7].map { share in
            var kept = [[Double]](repeating: [1, 1, 1, 1], count: 4)
            kept[3][1] = share
            let mask = try #require(cells(map(kept: kept)).last)
            return try #require(Double(mask.firstMatch(of: /stroke-opacity="([^"]+)"/)?.1 ?? ""))
        }
        #expect(zip(opacities, opacities.dropFirst()).allSatisfy { $0 > $1 }, "\(opacities)")
    }

    /// From the query as far down as the window is long, at one key a query, to the last query.
    @Test func theWindowHasItsBoundary() throws {
        let page = html(map(window: 2))
        let line = try #require(page.firstMatch(of: /class="boundary" d="M(\S+) (\S+)L(\S+) ([^"]+)"/))
        let place = try #require(page.firstMatch(of: /class="cells" transform="translate\((\S+) (\S+)\) scale\((\S+)\)"/))
        let numbers = try [line.1, line.2, line.3, line.4, place.1, place.2, place.3].map { try #require(Double($0)) }
        let cell = numbers[6]
        let expected = [numbers[4], numbers[5] + cell, numbers[4] + 3 * cell, numbers[5] + 4 * cell]
        #expect(zip(numbers, expected).allSatisfy { abs($0 - $1) < 0.02 }, "\(numbers)")
        #expect(page.contains("</svg>window</li>"))
        #expect(!html(map(window: nil)).contains("<path class=\"boundary\" d=\"M5"))
        #expect(!html(map(window: 8)).contains("<path class=\"boundary\" d=\"M5"))
    }

    /// Over less than two decades the ticks of a logarithmic axis keep their distance: texts are 12 pixels high.
    @Test func labelsOfImportanceDoNotOverlap() throws {
        for (least, most) in [1, 1.7, 2.5, 6].flatMap({ least in stride(from: 1.2, to: 150, by: 0.9).map { (least, least * $0) } }) {
            let page = html(map(importance: [least, most, least * 1.1, 0]))
            let drawing = try #require(page.split(separator: "<svg class=\"chart\"").dropFirst().first)
            let places = drawing.matches(of: /y="(\S+)" text-anchor="end"/).map { Double($0.1)! }.sorted()
            #expect(!places.isEmpty && zip(places, places.dropFirst()).allSatisfy { $1 - $0 >= 12 }, "\(least) \(most): \(places)")
        }
    }

    @Test func barsTellWhatIsSelected() {
        let page = html(map())
        let bars = page.matches(of: /<path class="(bar[^"]*)" stroke-width="64"( stroke-opacity="[^"]+")? d="([^"]+)"/)
        #expect(bars.map { "\($0.1)\($0.2 ?? "")" } == ["bar", "bar selected stroke-opacity=\"0.7\"", "bar selected stroke-opacity=\"1\""])
        // A key without importance has no bar.
        #expect(bars.map { String($0.3).count(of: "M") } == [1, 1, 1])
    }

    /// Below the curve, from the first column to the last one selected.
    @Test func theAreaEndsAtTheCutOff() throws {
        let page = html(map())
        let area = try #require(page.firstMatch(of: /<path class="area" d="([^"]+)z"/)).1
        let cut = try #require(
            page.matches(of: /<line class="rule" x1="(\S+)" y1="\S+" x2="(\S+)" y2="\S+"\/>/).last)
        #expect(cut.1 == cut.2)
        let places = area.split { "ML".contains($0) }.map { $0.split(separator: " ") }
        #expect(places.count == 5)
        #expect(places[2][0] == cut.1 && places[3][0] == cut.1 && places[4][0] == places[0][0])
    }

    @Test func missingValuesAndNothing() {
        let nan = [[Double]](repeating: [.nan, .infinity, -.infinity, 0], count: 4)
        let empty = AttentionMap(
            title: "Layer 1", length: 0, mass: [],
            importance: .init(byKey: [], selected: [], cumulative: [], alpha: 0.9, selectedCount: 0),
            pattern: .init(window: nil, kept: [], density: .nan, retainedMass: .nan))
        let all = map(mass: nan, kept: nan, retained: [.nan, .nan, .nan, .nan], importance: [.nan, 0, -1, .infinity], selected: nan[0])
        let zero = [[Double]](repeating: [0, 0, 0, 0], count: 4)
        for (map, missing) in [(all, 3), (empty, 4), (map(mass: nan), 2), (map(mass: zero), 2)] {
            let page = html(map)
            #expect(page.count(of: ">no values</text>") == missing)
            for word in ["\"nan", "\"inf", "\"-inf", " nan", "(nan", "-nan"] { #expect(!page.contains(word), "\(word)") }
        }
    }

    /// A cell in dozens is NaN: the others are drawn.
    @Test func oneMissingValueIsAHole() throws {
        let attention = try #require(cells(map(mass: [[1, 0, 0, 0], [.nan, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]])).first)
        #expect(attention.contains("M0 0h1M1 1h1M0 2h3M0 3h4"))
    }

    /// A sink, a band and stripes over a noisy ground: what heads look like. The drawings stay small.
    @Test func largeMapsAreCompact() {
        let page = html(largeMap(cells: 64))
        let drawings = page.split(separator: "<div class=\"panels\">")[1].prefix(upTo: "<details>")
        #expect(drawings.utf8.count < 40_000, "\(drawings.utf8.count)")
        #expect(page.count(of: "<g class=\"mark\"") <= 3 * 16 + 13)
        #expect(html(largeMap(cells: AttentionMap.mostCells)).contains("class=\"cells\""))
    }

    @Test func moreCellsAreAMistake() async {
        await #expect(processExitsWith: .failure) { _ = largeMap(cells: AttentionMap.mostCells + 1) }
        await #expect(processExitsWith: .failure) { _ = map(kept: [[1]]) }
        await #expect(processExitsWith: .failure) { _ = map(retained: [1]) }
        await #expect(processExitsWith: .failure) { _ = map(selected: [1]) }
    }
}

private func largeMap(cells count: Int) -> AttentionMap {
    let noise = { (row: Int, key: Int) in Double((row * 31 + key * 17) % 7) / 7 }
    let mass = (0..<count).map { row in
        (0..<count).map { key in
            (key == 0 ? 0.3 : key.isMultiple(of: 9) ? 0.02 : 0.0005) * (1 + noise(row, key)) + (row - key < 4 ? 0.1 : 0)
        }
    }
    let kept = (0..<count).map { row in
        (0..<count).map { key in row - key < 4 || key == 0 ? 1 : key.isMultiple(of: 9) ? 0.2 : key.isMultiple(of: 5) ? 0.05 : 0 }
    }
    return AttentionMap(
        title: "Layer 1", length: 4096, mass: mass,
        importance: .init(
            byKey: (0..<128).map { 0.001 * (1 + noise($0, 1)) }, selected: (0..<128).map { noise($0, 2) },
            cumulative: (0...12).map { .init(Double(1 << $0), Double($0) / 12) }, alpha: 0.9, selectedCount: 300),
        pattern: .init(window: 256, kept: kept, density: 0.2, retainedMass: 0.95))
}

extension StringProtocol {
    /// What stands before the first `end`; all when there is none.
    fileprivate func prefix(upTo end: String) -> SubSequence { firstRange(of: end).map { self[..<$0.lowerBound] } ?? self[...] }
}
