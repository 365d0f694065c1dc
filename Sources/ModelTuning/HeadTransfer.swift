import AttentionCore
import AttentionKernels
import Autotuning
import HeadProfiling
import LanguageModels
import SampleAttention

/// What a head's parameters keep and spoil on a prompt they were not chosen on, beside what they did where they were.
public struct HeadTransfer: Sendable, Codable {
    public let length, layer, head: Int
    public let tuned, heldOut: TunedConfig.Measurement

    /// Mean retained mass that the other text costs; negative where it keeps more.
    public var massLost: Double { tuned.meanMass - heldOut.meanMass }
    /// Output error on the other text over that on the tuning text: 1 where both are nothing.
    public var errorRatio: Double {
        let (own, other) = (tuned.outputError ?? 0, heldOut.outputError ?? 0)
        return own == other ? 1 : other / max(own, .leastNormalMagnitude)
    }
}

extension HeldOutCheck {
    /// Every head at every tuned length, on a plain prompt from the middle of the text, in the otherwise dense model.
    ///
    /// - Throws: `InputError` for a text that is too short, and as `LanguageModel.prefill`.
    public func transfer(_ text: TuningText, advance: (String) -> Void) throws -> [HeadTransfer] {
        try config.buckets.flatMap { bucket in
            advance("\(bucket.length) tokens, heads")
            return try transfer(text.plain(length: bucket.length, position: 0.5), bucket: bucket)
        }
    }

    private func transfer(_ prompt: TuningPrompt, bucket: TunedConfig.Bucket) throws -> [HeadTransfer] {
        let workspace = AttentionWorkspace()
        let found = Found()
        _ = try PrefillTrace(
            prompt.tokens, model: model, policy: .dense,
            tap: AttentionTap { [model] attention in
                let layer = attention.layer
                let meter = try HeadMeter(attention, kernel: model.kernel, workspace: workspace)
                let heads = bucket.layers[layer]
                for (head, one) in try meter.measure(heads.map(\.parameters)).enumerated() {
                    let heldOut = TunedConfig.Measurement(
                        meanMass: one.mass.mean, p1Mass: one.mass.p1, minMass: one.mass.minimum, density: one.density,
                        outputError: one.outputError)
                    found.heads.append(
                        HeadTransfer(length: bucket.length, layer: layer, head: head, tuned: heads[head].measured, heldOut: heldOut))
                }
            })
        return found.heads
    }

    private final class Found { var heads: [HeadTransfer] = [] }
}
