import AttentionCore
import Autotuning
import DurableFiles
import SampleAttention

/// Predicts what options of heads cost the model, a pass backward a prompt, and says which of them are worth a probe.
struct HeadPredicting {
    let work: WorkExecutor<ProbeItem, HeadPrediction>
    let seed: UInt64

    /// Heads that are probed as well: those that are predicted to cost most, where changes are largest and predictions worst; those that
    /// answers hang on most, for a model that is sure of its answers has small gradients there, which rank heads but tell too little; and a few
    /// others, so that it shows how far predictions can be trusted.
    private static let worstHeads = 8
    private static let worstAtAnswers = 4
    private static let otherHeads = 2

    /// Every option of every head on every prompt.
    ///
    /// - Parameters:
    ///   - isOver: asked before each prompt; the rest is left out when it says so.
    ///   - advance: called with the share that is done.
    func run(
        _ options: [HeadIndex: [FrozenTrial]], on prefilled: [PrefilledPrompt], isOver: () -> Bool, advance: (Double) -> Void
    ) throws {
        for (number, own) in prefilled.enumerated() {
            let items = options.keys.sorted().flatMap { head in
                options[head]!.map { ProbeItem(head, $0.parameters, prompt: own.prompt) }
            }
            func advanced(_ share: Double) { advance((Double(number) + share) / Double(prefilled.count)) }
            let isWhole = try work.run(together: items, isOver: isOver) { missing in
                let asked = missing.map { HeadOption(layer: $0.layer, head: $0.head, parameters: $0.parameters) }
                // Each prompt has draws of its own.
                var generator = SeededGenerator.derived(seed: seed, number)
                let damages = try own.dense.predict(asked, on: own.prompt, seed: generator.next(), advance: advanced)
                return zip(missing, damages).map { item, damage in
                    // Squares of finite numbers need not be finite; such an option is probed.
                    guard damage.loss.isFinite, damage.divergence.isFinite, damage.answerDivergence.isFinite else { return nil }
                    return HeadPrediction(
                        length: item.length, layer: item.layer, head: item.head, prompt: item.prompt, parameters: item.parameters,
                        damage: damage)
                }
            }
            if !isWhole { return }
            advanced(1)
        }
    }

    /// Which heads' options are followed through the model as well.
    ///
    /// - Parameters:
    ///   - heads: in order.
    ///   - damage: of a head's worst option, in shares of the floor; nil where it is not known, and the head is probed.
    ///   - answers: the same at answers alone.
    func probed(
        _ heads: [HeadIndex], damage: (HeadIndex) -> Double?, answers: (HeadIndex) -> Double?
    ) -> Set<HeadIndex> {
        func worst(_ count: Int, of heads: [HeadIndex], _ value: (HeadIndex) -> Double?) -> [HeadIndex] {
            let values = Dictionary(uniqueKeysWithValues: heads.map { ($0, value($0) ?? .infinity) })
            let unknown = values.values.count { $0 == .infinity }
            return Array(heads.sorted { (values[$0]!, $1) > (values[$1]!, $0) }.prefix(max(unknown, count)))
        }
        var chosen = Set(worst(Self.worstHeads, of: heads, damage))
        chosen.formUnion(worst(Self.worstAtAnswers, of: heads.filter { !chosen.contains($0) }, answers))
        var generator = SeededGenerator.derived(seed: seed, -1)
        return chosen.union(heads.filter { !chosen.contains($0) }.shuffled(using: &generator).prefix(Self.otherHeads))
    }
}
