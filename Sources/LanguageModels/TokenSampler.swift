import AttentionCore
import Foundation

/// Chooses the next token from its scores.
public struct TokenSampler: Sendable {
    /// 0 is greedy; otherwise scores are divided by it.
    public let temperature: Double
    /// Only the likeliest tokens that together reach this probability are drawn from (nucleus sampling, arXiv 1904.09751).
    public let topP: Fraction
    private var generator: SeededGenerator

    /// - Throws: `InputError` (`usage`) when the temperature is negative or not finite.
    public init(temperature: Double = 0, topP: Fraction = .one, seed: UInt64 = 0) throws(InputError) {
        guard temperature >= 0, temperature.isFinite else {
            throw InputError(.usage, field: "temperature", value: "\(temperature)", rule: "must be 0 or a positive number")
        }
        self.temperature = temperature
        self.topP = topP
        generator = SeededGenerator(seed: seed)
    }

    /// The next token; ties go to the lower id.
    public mutating func next(_ logits: [Float]) -> Int32 {
        var best = 0
        for index in logits.indices where logits[index] > logits[best] { best = index }
        guard temperature > 0 else { return Int32(best) }
        let highest = Double(logits[best])
        var candidates = logits.indices.map { (token: $0, weight: exp((Double(logits[$0]) - highest) / temperature)) }
        let total = candidates.reduce(0) { $0 + $1.weight }
        candidates.sort { ($1.weight, $0.token) < ($0.weight, $1.token) }
        var kept = 0.0
        let end = candidates.firstIndex { candidate in
            kept += candidate.weight
            return kept >= topP.value * total
        }
        var draw = generator.uniform() * kept
        for candidate in candidates[...(end ?? candidates.count - 1)] {
            draw -= candidate.weight
            if draw < 0 { return Int32(candidate.token) }
        }
        return Int32(candidates[0].token)
    }
}
