import AttentionCore
import Parallelism
import SampleAttention

/// How much a method keeps.
public enum Budget: Sendable, Hashable {
    /// As much as its paper's settings say.
    case own
    /// The pairs of each head nearest to this share of the causal ones, and not above it where the method can go so low: so that
    /// methods are compared at equal cost.
    case density(Fraction)

    /// The pattern for this budget.
    ///
    /// - Parameter pattern: a family that keeps no less as its strength grows from 0 to 1; nil asks for the paper's own member.
    ///
    /// Complexity: some dozen patterns and counts of their pairs for a density.
    func pattern(shape: AttentionShape, _ pattern: (_ strength: Double?) -> SparsePattern) -> SparsePattern {
        strongest(pattern) { $0.density(shape) }
    }

    /// The strongest of a family of choices that this budget allows.
    ///
    /// - Parameters:
    ///   - choice: keeps no less as its strength grows from 0 to 1; nil asks for the paper's own.
    ///   - density: the share of pairs that a choice keeps.
    func strongest<Choice>(_ choice: (_ strength: Double?) -> Choice, density: (Choice) -> Double) -> Choice {
        guard case .density(let target) = self else { return choice(nil) }
        var (low, high) = (0.0, 1.0)
        var best = choice(0)
        for _ in 0..<14 {
            let middle = (low + high) / 2
            let candidate = choice(middle)
            if density(candidate) <= target.value {
                low = middle
                best = candidate
            } else {
                high = middle
            }
        }
        return best
    }
}

extension LayerCall {
    /// One pattern a head, made by as many threads as there are.
    func patternOfEachHead(_ pattern: @Sendable (_ head: Int) -> SparsePattern) -> [SparsePattern] {
        pool.map(shape.queryHeads, pattern)
    }

    /// Blocks of 128 positions up to the last key.
    var blocks: Int { BlockMask.blockCount(tokens: shape.keyCount) }
}
