import AttentionCore

/// The mask with the fewest kept pairs whose rows each drop at most a given mass: per row, the shortest prefix of the
/// descending probabilities. It reads every probability, so it is a yardstick, not a method.
///
/// Complexity: O(queryCount · keyCount · (d + log keyCount)) to build, O(kept pairs) memory.
public struct SparsestMask: AttentionMask, Hashable {
    private let firstPosition: Int
    private let runs: [[Range<Int>]]
    /// Kept (query, key) pairs.
    public let keptPairs: Int

    /// The sparsest mask of `head` with a CRA of at least 1 − `largestDroppedMass`.
    public init(of head: AttentionHead, largestDroppedMass: Double) {
        precondition((0...1).contains(largestDroppedMass), "a dropped mass is a share of 1")
        var runs: [[Range<Int>]] = []
        var pairs = 0
        ExactAttention(head).forEachProbabilityRow { _, probabilities in
            let kept = Self.keptKeys(probabilities, largestDroppedMass: largestDroppedMass)
            pairs += kept.count
            runs.append(kept.runs)
        }
        firstPosition = head.firstPosition
        self.runs = runs
        keptPairs = pairs
    }

    public func forEachKeptRun(position: Int, shape: AttentionShape, _ body: (Range<Int>) -> Void) {
        precondition(shape.firstPosition == firstPosition && shape.queryCount == runs.count, "the mask is for another head")
        runs[position - firstPosition].forEach(body)
    }

    /// All keys but the least probable whose sum stays within the budget; ascending, never empty.
    private static func keptKeys(_ probabilities: UnsafeBufferPointer<Double>, largestDroppedMass: Double) -> [Int] {
        let ascending = probabilities.indices.sorted { probabilities[$0] < probabilities[$1] }
        var dropped = 0.0
        var count = 0
        while count < ascending.count - 1, dropped + probabilities[ascending[count]] <= largestDroppedMass {
            dropped += probabilities[ascending[count]]
            count += 1
        }
        return ascending.dropFirst(count).sorted()
    }
}
