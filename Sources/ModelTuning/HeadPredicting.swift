import AttentionCore
import Autotuning
import DurableFiles
import SampleAttention

/// Predicts what options of heads cost the model, a pass backward a prompt.
struct HeadPredicting {
    let model: any TunableModel
    let work: WorkExecutor<ProbeItem, HeadPrediction>
    let seed: UInt64

    /// Every option of every head on every prompt.
    ///
    /// - Parameters:
    ///   - isOver: asked before each prompt; the rest is left out when it says so.
    ///   - advance: called with the share that is done.
    func run(
        _ options: [HeadIndex: [FrozenTrial]], on prompts: [TuningPrompt], isOver: () -> Bool, advance: (Double) -> Void
    ) throws {
        for (number, prompt) in prompts.enumerated() {
            let items = options.keys.sorted().flatMap { head in
                options[head]!.map { ProbeItem(head, $0.parameters, prompt: prompt) }
            }
            func advanced(_ share: Double) { advance((Double(number) + share) / Double(prompts.count)) }
            let isWhole = try work.run(together: items, isOver: isOver) { missing in
                let asked = missing.map { HeadOption(layer: $0.layer, head: $0.head, parameters: $0.parameters) }
                // Each prompt has draws of its own.
                var generator = SeededGenerator.derived(seed: seed, number)
                let damages = try model.predict(asked, on: prompt, seed: generator.next(), advance: advanced)
                return zip(missing, damages).map { item, damage in
                    // Squares of finite numbers need not be finite; such an option is not taken.
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
}
