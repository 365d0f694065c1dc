import AttentionCore
import AttentionKernels
import AttentionLayers
import Autotuning
import HeadProfiling
import LanguageModels
import RunProvenance
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
            let prompt = try text.plain(length: bucket.length, position: 0.5)
            return try transfer(
                PromptLayers(prompt.tokens, of: .init(name: prompt.name, sha256: text.sha256), model: model), bucket: bucket)
        }
    }

    private func transfer(_ source: some LayerSource, bucket: TunedConfig.Bucket) throws -> [HeadTransfer] {
        let workspace = AttentionWorkspace()
        var found: [HeadTransfer] = []
        try source.forEachLayer { attention in
            let meter = try HeadMeter(attention, kernel: source.kernel, workspace: workspace)
            let heads = bucket.layers[attention.layer]
            for (head, one) in try meter.measure(heads.map(\.parameters)).enumerated() {
                let heldOut = TunedConfig.Measurement(
                    meanMass: one.mass.mean, p1Mass: one.mass.p1, minMass: one.mass.minimum, density: one.density,
                    outputError: one.outputError)
                found.append(
                    HeadTransfer(
                        length: bucket.length, layer: attention.layer, head: head, tuned: heads[head].measured, heldOut: heldOut))
            }
        }
        return found
    }
}
