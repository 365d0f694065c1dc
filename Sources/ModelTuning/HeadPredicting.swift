import AttentionCore
import Autotuning
import DurableFiles
import SampleAttention

/// Predicts what options of heads cost the model, a pass backward a prompt, and says which of them are worth a probe.
struct HeadPredicting {
    let work: WorkExecutor<ProbeItem, HeadPrediction>
    let seed: UInt64

    /// Heads that are probed as well: those that are predicted to cost most, where changes are largest and predictions worst, and a few
    /// others, so that it shows how far predictions can be trusted.
    private static let worstHeads = 8
    private static let otherHeads = 4

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
    /// - Parameter damage: of a head's worst option; nil where it is not known, and everything is probed.
    func probed(_ heads: [HeadIndex], damage: (HeadIndex) -> Double?) -> Set<HeadIndex> {
        let damages = heads.map { damage($0) ?? .infinity }
        let order = heads.indices.sorted { (damages[$0], heads[$1]) > (damages[$1], heads[$0]) }
        let unknown = damages.count { $0 == .infinity }
        let worst = order.prefix(max(unknown, Self.worstHeads))
        var generator = SeededGenerator.derived(seed: seed, -1)
        let others = order.dropFirst(worst.count).shuffled(using: &generator).prefix(Self.otherHeads)
        return Set((worst + others).map { heads[$0] })
    }
}
