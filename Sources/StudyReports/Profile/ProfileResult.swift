import Evaluation
import HeadProfiling
import RunProvenance
import SampleAttention

/// What `profile` prints and writes.
package struct ProfileResult: Encodable {
    /// Of profile.json; grows when a field changes its meaning or goes.
    private static let schemaVersion = 2

    let model: ModelIdentity
    let provenance: Provenance
    let attention: String
    let scale: ProfileScale
    let prompts: [PromptProfile]

    package init(model: ModelIdentity, provenance: Provenance, attention: String, scale: ProfileScale, prompts: [PromptProfile]) {
        (self.model, self.provenance, self.attention, self.scale, self.prompts) = (model, provenance, attention, scale, prompts)
    }

    private enum CodingKeys: String, CodingKey { case schemaVersion, model, provenance, attention, scale, sparsityAlphas, profiles }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(Self.schemaVersion, forKey: .schemaVersion)
        try container.encode(model, forKey: .model)
        try container.encode(provenance, forKey: .provenance)
        try container.encode(attention, forKey: .attention)
        try container.encode(scale, forKey: .scale)
        try container.encode(scale.alphas, forKey: .sparsityAlphas)
        try container.encode(prompts.map(Prompt.init), forKey: .profiles)
    }

    /// A prompt's numbers without its pictures.
    private struct Prompt: Encodable {
        let text, textSHA256: String
        let length: Int
        let seconds, density: Double
        let heads: [Head]
        let overlaps: [Overlaps]

        init(_ profile: PromptProfile) {
            text = profile.text
            textSHA256 = profile.textSHA256
            length = profile.length
            seconds = profile.seconds
            density = profile.density
            heads = profile.layers.flatMap { layer in
                layer.heads.indices.map { Head(profile: layer.heads[$0], pattern: layer.patterns[$0], error: layer.errors[$0]) }
            }
            overlaps = profile.layers.map { Overlaps(layer: $0.layer, overlaps: $0.overlaps) }
        }
    }

    private struct Head: Encodable {
        let profile: HeadProfile
        let pattern: HeadPattern
        let error: HeadError
        private enum CodingKeys: String, CodingKey { case pattern, outputError }

        func encode(to encoder: any Encoder) throws {
            try profile.encode(to: encoder)
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(pattern, forKey: .pattern)
            try container.encode(error, forKey: .outputError)
        }
    }

    private struct Overlaps: Encodable {
        let layer: Int
        let overlaps: LayerProfile.Overlaps
        private enum CodingKeys: String, CodingKey { case layer }

        func encode(to encoder: any Encoder) throws {
            try overlaps.encode(to: encoder)
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(layer, forKey: .layer)
        }
    }
}
