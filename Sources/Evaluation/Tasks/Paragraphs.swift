/// A text's paragraphs: its lines, each with its newline; blank ones are none.
package enum Paragraphs {
    /// - Parameter longest: bytes that a paragraph may have, its newline aside: longer lines are cut between words, and words that are
    ///   longer themselves within; nil cuts nothing.
    package static func of(_ text: String, longest: Int? = nil) -> [String] {
        lines(text).flatMap { line -> [String] in
            guard let longest, line.utf8.count > longest else { return [line + "\n"] }
            return cut(line, longest: longest)
        }
    }

    /// The lines that hold something. By scalars, for finding the characters of a book takes a hundred times as long, and whatever
    /// begins or ends a line is one by itself.
    private static func lines(_ text: String) -> [Substring] {
        text.unicodeScalars.split { Character($0).isNewline }.map { Substring($0) }
    }

    private static func cut(_ line: Substring, longest: Int) -> [String] {
        var (pieces, piece) = ([String](), "")
        for word in line.split(separator: " ").flatMap({ parts(of: $0, longest: longest) }) {
            if !piece.isEmpty, piece.utf8.count + word.utf8.count > longest {
                pieces.append(piece + "\n")
                piece = ""
            }
            piece += (piece.isEmpty ? "" : " ") + word
        }
        return pieces + [piece + "\n"]
    }

    /// A word, or pieces of it that are no longer than `longest` bytes or one character: some scripts have no spaces.
    package static func parts(of word: Substring, longest: Int) -> [Substring] {
        guard word.utf8.count > longest else { return [word] }
        var (parts, start, size) = ([Substring](), word.startIndex, 0)
        for index in word.indices {
            let own = String(word[index]).utf8.count
            if size > 0, size + own > longest {
                parts.append(word[start..<index])
                (start, size) = (index, 0)
            }
            size += own
        }
        return parts + [word[start...]]
    }
}
