import AttentionCore
import Foundation
import HaystackModel
import ModelFormats
import Testing

@Suite struct TextStreamTests {
    private let tokenizer: Tokenizer

    init() throws { tokenizer = try Tokenizer(path: HaystackModel.modelDirectory.appendingPathComponent("tokenizer.json").path) }

    private func parts(_ tokens: [Int32]) -> [String] {
        var stream = TextStream(tokenizer)
        return tokens.map { stream.append($0) } + [stream.finish()]
    }

    /// Random tokens are mostly broken UTF-8 where characters are spelt byte by byte.
    @Test(arguments: 1...20 as ClosedRange<UInt64>) func partsAreTheWholeText(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        // Bytes of every kind come often: the low ids are the 256 bytes and special tokens.
        let tokens = (0..<400).map { _ in
            Int32.random(in: -2..<Int32(random.uniform() < 0.8 ? 300 : tokenizer.vocabularySize + 2), using: &random)
        }
        let parts = parts(tokens)
        #expect(parts.joined().unicodeScalars.elementsEqual(tokenizer.decode(tokens).unicodeScalars), "seed \(seed)")
        // Nothing is held back but the beginning of a character.
        var shown = 0
        for index in tokens.indices {
            shown += parts[index].unicodeScalars.count
            #expect(tokenizer.decode(tokens[...index]).unicodeScalars.count - shown <= 1, "seed \(seed), token \(index)")
        }
    }

    /// Whole characters come as soon as their last byte does, whatever they combine with.
    @Test func charactersComeWhole() throws {
        let text = "\u{600}👍e\u{301}\r\n한"
        let bytes = tokenizer.encode(text)
        let parts = parts(bytes)
        #expect(parts.joined().unicodeScalars.elementsEqual(text.unicodeScalars))
        #expect(!parts.joined().contains("\u{FFFD}") && parts.last == "")
    }
}
