import AttentionCore
import Autotuning
import SampleAttention

/// Which options are probed: few, however many heads there are.
struct ProbeChoice {
    /// Heads that answers hang on most, for a model that is sure of its answers has small gradients there, which rank heads but tell too
    /// little; those that are predicted to cost most, where changes are largest and predictions worst; and another, so that it shows how far
    /// predictions can be trusted.
    static let atAnswers = 6, worst = 4, others = 1

    let seed: UInt64
    /// Options of a head that answers hang on, of key blocks and of all other patterns each; of other heads there is one.
    let options: Int

    /// At the shortest length.
    ///
    /// - Parameter trials: the options of all heads.
    func first(_ trials: [HeadIndex: [FrozenTrial]], _ damages: HeadDamages) -> [HeadIndex: [FrozenTrial]] {
        let heads = trials.keys.sorted()
        let answering = Self.worst(Self.atAnswers, of: heads) { damages.worst($0, by: \.answers) }
        let left = heads.filter { !answering.contains($0) }
        let costly = Self.worst(Self.worst, of: left) { damages.worst($0, by: \.sum) }
        var generator = SeededGenerator.derived(seed: seed, -1)
        let drawn = left.filter { !costly.contains($0) }.shuffled(using: &generator).prefix(Self.others)
        let single = costly.union(drawn)
        return trials.filter { answering.contains($0.key) || single.contains($0.key) }.reduce(into: [:]) { chosen, own in
            chosen[own.key] = answering.contains(own.key) ? several(own.value, count: options) : Self.spread(own.value, count: 1)
        }
    }

    /// At a longer one: heads that answers hang on there, of those they hung on at the length before. Half as many of each, for what was learned at
    /// that length still says how damage grows from option to option.
    func later(
        _ trials: [HeadIndex: [FrozenTrial]], of heads: Set<HeadIndex>, _ damages: HeadDamages
    ) -> [HeadIndex: [FrozenTrial]] {
        let answering = Self.worst(Self.atAnswers, of: heads.intersection(damages.retrievalHeads).sorted()) {
            damages.worst($0, by: \.answers)
        }
        return trials.filter { answering.contains($0.key) }.mapValues { several($0, count: (options + 1) / 2) }
    }

    private func several(_ trials: [FrozenTrial], count: Int) -> [FrozenTrial] {
        Self.spread(trials.filter { $0.parameters.pattern != .keyBlocks }, count: count)
            + Self.spread(trials.filter { $0.parameters.pattern == .keyBlocks }, count: count)
    }

    /// Options by cost that tell most of all of them: evenly chosen, none at the ends, which spoil everything or nothing; one alone from the
    /// cheaper half. Those that keep nearly all pairs are not worth a probe.
    static func spread(_ trials: [FrozenTrial], count: Int) -> [FrozenTrial] {
        let trials = trials.filter { $0.measured.density < 0.95 }.sorted { $0.cost < $1.cost }
        guard trials.count > count, count > 0 else { return Array(trials.prefix(max(0, count))) }
        return (0..<count).map { trials[(2 * $0 + 1) * trials.count / max(4, 2 * count)] }
    }

    private static func worst(_ count: Int, of heads: [HeadIndex], _ value: (HeadIndex) -> Double?) -> Set<HeadIndex> {
        let values = heads.compactMap { head in value(head).map { (head: head, value: $0) } }
        return Set(values.sorted { ($0.value, $1.head) > ($1.value, $0.head) }.prefix(count).map(\.head))
    }
}
