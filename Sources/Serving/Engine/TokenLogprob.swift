import Foundation
import ModelFormats

/// A token of an answer with its log-probability, and the likeliest tokens at its place.
///
/// Probabilities are the model's own: those of the scores as they are, before temperature and `top_p`.
package struct TokenLogprob: Sendable {
    package let choice: Choice
    /// In descending order.
    package let likeliest: [Choice]
    /// Where the token's text begins in the answer. Units: bytes of UTF-8.
    package let offset: Int

    /// A token that was, or might have been, chosen.
    package struct Choice: Encodable, Sendable {
        package let text: String
        /// Natural logarithm.
        package let logprob: Double
        package let bytes: [UInt8]

        private enum CodingKeys: String, CodingKey {
            case logprob, bytes
            case text = "token"
        }

        /// Bytes that are part of a character alone are written as U+FFFD.
        fileprivate init(_ token: Int, logprob: Double, tokenizer: Tokenizer) {
            bytes = tokenizer.bytes(of: Int32(token))
            text = String(decoding: bytes, as: UTF8.self)
            self.logprob = logprob
        }
    }

    /// - Parameters:
    ///   - logits: scores of all tokens.
    ///   - count: of the likeliest.
    ///
    /// Complexity: O(vocabulary · count).
    init(_ token: Int32, logits: [Float], count: Int, offset: Int, tokenizer: Tokenizer) {
        let highest = Double(logits.max() ?? 0)
        let total = highest + log(logits.reduce(0) { $0 + exp(Double($1) - highest) })
        func choice(_ index: Int) -> Choice { Choice(index, logprob: Double(logits[index]) - total, tokenizer: tokenizer) }
        var best: [Int] = []
        for index in logits.indices where best.count < count || best.last.map({ logits[index] > logits[$0] }) ?? false {
            // Ties go to the lower id, as those of the sampler do.
            best.insert(index, at: best.firstIndex { logits[index] > logits[$0] } ?? best.endIndex)
            if best.count > count { best.removeLast() }
        }
        likeliest = best.map(choice)
        self.choice = choice(Int(token))
        self.offset = offset
    }
}
