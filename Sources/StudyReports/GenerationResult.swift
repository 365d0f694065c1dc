import LanguageModels
import Reporting
import RunProvenance
import SampleAttention

/// What `generate` prints as JSON.
package struct GenerationResult: Encodable {
    let model: ModelIdentity
    let provenance: Provenance
    let attention: String
    /// How it attends, beside its name.
    let settings: AttentionSettings
    /// What decoding finds, and the tokens the prefill took at once; nil for all.
    let cache: LanguageModel.CacheSettings
    let chunk: Int?
    let text: String
    let tokens: [Int32]
    let promptTokens: Int
    /// Held when decoding begins: positions, and the memory of keys and values.
    let cachedPositions, cacheBytes: Int
    /// Before the prompt: reading, checking and packing the model.
    let loadSeconds: Double
    /// From the prompt's tokens to the first token's scores, the cache and the tables that it takes included.
    let prefillSeconds: Double
    let attentionSeconds, selectionSeconds, certificateSeconds, decodeSeconds, density: Double
    /// Mean over layers and heads of the sampled rows' mass that the pattern keeps: what the selection saw, not a bound.
    let sampledMass: Double?
    let certificate: CertificateResult?

    package init(
        loadSeconds: Double, generation: LanguageModel.Generation, policy: AttentionPolicy, settings: AttentionSettings,
        cache: LanguageModel.CacheSettings, chunk: Int?, text: String, model: ModelIdentity,
        provenance: Provenance
    ) {
        self.model = model
        self.provenance = provenance
        self.loadSeconds = loadSeconds
        attention = policy.name
        (self.settings, self.cache, self.chunk) = (settings, cache, chunk)
        self.text = text
        tokens = generation.tokens
        let report = generation.prefill
        promptTokens = report.tokens
        cachedPositions = generation.cachedPositions
        cacheBytes = generation.cacheBytes
        prefillSeconds = report.seconds
        attentionSeconds = report.attentionSeconds
        selectionSeconds = report.selectionSeconds
        certificateSeconds = report.certificateSeconds
        decodeSeconds = generation.decodeSeconds
        density = report.density
        let masses = report.chunks.flatMap { $0.flatMap { $0.sampledMass.compactMap(\.self) } }
        sampledMass = masses.isEmpty ? nil : masses.reduce(0, +) / Double(masses.count)
        certificate = CertificateResult(report, policy: policy)
    }
}
