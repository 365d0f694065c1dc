import Reporting
import Testing

@Suite struct TextTableTests {
    @Test func alignsWordsLeftAndNumbersRight() {
        var table = TextTable(columns: [.left("task"), .right("ms")])
        table.append(["needle", "12.3"])
        table.append(["sum", "7"])
        #expect(table.text() == "task      ms\n──────  ────\nneedle  12.3\nsum        7\n")
    }

    @Test func wideCharactersTakeTwoColumns() {
        let table = TextTable(columns: [.left("文書"), .right("n")], rows: [["a", "1"], ["注意機構", "22"], ["e\u{301}t\u{E9}", "3"]])
        let lines = table.text().split(separator: "\n").map(String.init)
        #expect(lines == ["文書       n", "────────  ──", "a          1", "注意機構  22", "e\u{301}té        3"])
        #expect(Set(lines.map(DisplayWidth.of)) == [12])
    }

    @Test func noLineEndsInSpaces() {
        let table = TextTable(columns: [.left("a"), .left("b"), .left("c")], rows: [["x", "", ""], ["", "", "zz"], ["", "", ""]])
        #expect(table.text() == "a  b  c\n─  ─  ──\nx\n      zz\n\n")
    }

    @Test func controlCharactersCannotReachTheTerminal() {
        let table = TextTable(columns: [.left("file\n")], rows: [["a\u{1B}[31m\tb\u{9B}2J"]])
        let text = table.text()
        #expect(text == "file\n───────────\na [31m b 2J\n")
    }

    @Test func escapesOnlyWhenAsked() {
        let table = TextTable(columns: [.left("a")], rows: [["b"]])
        #expect(!table.text().contains("\u{1B}"))
        #expect(table.text(style: .coloured) == "\u{1B}[1ma\u{1B}[0m\n\u{1B}[2m─\u{1B}[0m\nb\n")
    }

    @Test(arguments: [
        ("abc", 3), ("", 0), ("注", 2), ("👩‍👩‍👧", 2), ("🇫🇷", 2), ("❤\u{FE0F}", 2), ("❤", 1), ("e\u{301}", 1), ("한", 2),
        ("\u{1112}\u{1161}\u{11AB}", 2), ("Ａ", 2), ("α", 1), ("–", 1),
    ])
    func displayWidths(text: String, columns: Int) {
        #expect(DisplayWidth.of(text) == columns)
    }

    @Test func truncationKeepsWithinTheWidth() {
        #expect(DisplayWidth.truncated("abcdef", to: 6) == "abcdef")
        #expect(DisplayWidth.truncated("abcdef", to: 4) == "abc…")
        #expect(DisplayWidth.truncated("注意機構", to: 4) == "注…")
        #expect(DisplayWidth.truncated("abc", to: 0) == "")
    }

    @Test func aRowOfAnotherLengthIsAMistake() async {
        await #expect(processExitsWith: .failure) {
            var table = TextTable(columns: [.left("a")])
            table.append(["1", "2"])
        }
    }
}
