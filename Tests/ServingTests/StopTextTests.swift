import Serving
import Testing

@Suite struct StopTextTests {
    /// What comes out of pieces, and whether it was stopped.
    private static func cut(_ pieces: [String], at stops: [String]) -> (texts: [String], isStopped: Bool) {
        var stop = StopTexts(stops)
        var texts: [String] = []
        for piece in pieces {
            let (text, isStopped) = stop.append(piece)
            texts.append(text)
            if isStopped { return (texts, true) }
        }
        return (texts + [stop.finish()], false)
    }

    @Test func stopsAreFoundWhereverPiecesAreCut() {
        #expect(Self.cut(["hello wor", "ld!"], at: ["o wo"]) == (["hell"], true))
        #expect(Self.cut(["hello", " ", "world"], at: ["o w"]) == (["hell", "", ""], true))
        #expect(Self.cut(["ab", "ab", "ac"], at: ["abac"]) == (["", "ab", ""], true))
        #expect(Self.cut(["one two three"], at: ["three", "two"]) == (["one "], true))
    }

    @Test func whatNeverBecomesAStopIsText() {
        #expect(Self.cut(["hello", " you", " w"], at: ["o w"]) == (["hell", "o you", " w", ""], false))
        #expect(Self.cut(["hello"], at: ["lor"]) == (["hel", "lo"], false))
        #expect(Self.cut(["a", "b"], at: []) == (["a", "b", ""], false))
    }

    @Test func charactersStayWhole() {
        #expect(Self.cut(["Näh", "er"], at: ["äher"]) == (["N", ""], true))
        // The same two bytes begin both characters' stops.
        #expect(Self.cut(["日", "本"], at: ["日光"]) == (["", "日本", ""], false))
    }
}

private func == (a: (texts: [String], isStopped: Bool), b: (texts: [String], isStopped: Bool)) -> Bool {
    a.texts == b.texts && a.isStopped == b.isStopped
}
