/// A text that grows token by token. What has been written never changes; what may still change is held back.
struct DetokenizerState: Sendable {
    private static let replacement: [UInt8] = [0xEF, 0xBF, 0xBD]

    private let detokenizer: Detokenizer
    private var isFirst = true
    /// Bytes in a row that tokens stand for one by one.
    private var run: [UInt8] = []
    private var trimmers: [Trimmer]

    init(_ detokenizer: Detokenizer) {
        self.detokenizer = detokenizer
        trimmers = detokenizer.trimmings.map { Trimmer($0) }
    }

    /// True when tokens stood for bytes in a row, and more may follow.
    var awaitsBytes: Bool { !run.isEmpty }

    /// Appends what is certain after `token`, an id below the number of texts.
    mutating func append(_ token: Int, to output: inout [UInt8]) {
        defer { isFirst = false }
        if detokenizer.isByte(token) { return run += detokenizer.texts[token] }
        finishRun(&output)
        if !isFirst, !detokenizer.separator.isEmpty { write(detokenizer.separator, &output) }
        write(isFirst ? detokenizer.firstTexts?[token] ?? detokenizer.texts[token] : detokenizer.texts[token], &output)
    }

    /// Appends what was held back and is text after all; the ends that trimmings take fall away.
    mutating func finish(to output: inout [UInt8]) { finishRun(&output) }

    /// Bytes in a row are text if all of them are UTF-8 together.
    private mutating func finishRun(_ output: inout [UInt8]) {
        if run.isEmpty { return }
        let isText = String(validating: run, as: UTF8.self) != nil
        write(isText ? run : Array(repeatElement(Self.replacement, count: run.count).joined()), &output)
        run = []
    }

    private mutating func write(_ bytes: [UInt8], _ output: inout [UInt8]) {
        if trimmers.isEmpty { return output += bytes }
        var bytes = bytes
        for index in trimmers.indices {
            var rest: [UInt8] = []
            trimmers[index].append(bytes, to: &rest)
            bytes = rest
        }
        output += bytes
    }
}

/// Takes a scalar away from the ends of a text that comes in parts, which are whole characters.
private struct Trimmer: Sendable {
    private let scalar: [UInt8]
    private let mostAtEnd: Int
    /// How many may still be taken at the start.
    private var leftAtStart: Int
    /// How many of the scalar have come in a row and may be the end.
    private var held = 0

    init(_ trimming: Detokenizer.Trimming) {
        scalar = Array(String(trimming.scalar).utf8)
        leftAtStart = trimming.start
        mostAtEnd = trimming.end
    }

    mutating func append(_ bytes: [UInt8], to output: inout [UInt8]) {
        var rest = bytes[...]
        while leftAtStart > 0, rest.starts(with: scalar) {
            rest = rest.dropFirst(scalar.count)
            leftAtStart -= 1
        }
        if rest.isEmpty { return }
        leftAtStart = 0
        guard mostAtEnd > 0 else { return output += rest }
        var atEnd = 0
        while rest.count >= scalar.count, rest.suffix(scalar.count).elementsEqual(scalar) {
            rest = rest.dropLast(scalar.count)
            atEnd += 1
        }
        if !rest.isEmpty {
            release(held, to: &output)
            output += rest
            held = 0
        }
        held += atEnd
        if held > mostAtEnd {
            release(held - mostAtEnd, to: &output)
            held = mostAtEnd
        }
    }

    private func release(_ count: Int, to output: inout [UInt8]) {
        for _ in 0..<count { output += scalar }
    }
}
