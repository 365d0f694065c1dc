import AttentionCore
import CSampleAttention
import Foundation
import RunProvenance
import SampleAttention

/// What each head keeps: a tuned config, or one setting for every head of any model.
final class Config: Handle, Sendable {
    let policy: AttentionPolicy
    private let tuned: TunedConfig?

    /// The same setting for every head.
    init(_ parameters: SampleAttentionParameters) {
        policy = .fixed(parameters, name: "fixed")
        tuned = nil
    }

    /// - Throws: `InputError` as `TunedConfig.init(contentsOf:)`.
    init(contentsOf path: String) throws(InputError) {
        let tuned = try TunedConfig(contentsOf: path)
        policy = .tuned(tuned)
        self.tuned = tuned
    }

    /// One head's parameters as a config file holds them.
    ///
    /// - Throws: `InputError` (`configuration`) for JSON that is broken, and fields that are missing, unknown or out of range.
    convenience init(json: String) throws(InputError) {
        let data = Data(json.utf8)
        let parameters: SampleAttentionParameters
        do { parameters = try JSONDecoder().decode(SampleAttentionParameters.self, from: data) } catch {
            let fault = DecodingFault(error)
            throw InputError(
                .configuration, field: fault.field ?? "parameters", value: fault.value,
                rule: fault.rule ?? "must be a head's parameters in JSON")
        }
        // What decodes is an object. A misspelt field would otherwise be ignored in silence.
        let given = (try? JSONSerialization.jsonObject(with: data)) as? [String: Any] ?? [:]
        let encoded = (try? JSONSerialization.jsonObject(with: JSONEncoder().encode(parameters))) as? [String: Any] ?? [:]
        if let field = given.keys.sorted().first(where: { encoded[$0] == nil }) {
            throw InputError(.configuration, field: field, rule: "is not a field of these parameters")
        }
        self.init(parameters)
    }

    /// - Throws: `InputError` (`configuration`) when it was tuned for a model that cannot make this call.
    func check(layer: Int, shape: AttentionShape) throws(InputError) {
        guard let model = tuned?.model else { return }
        func require(_ holds: Bool, _ field: String, _ value: Int, _ rule: String) throws(InputError) {
            guard holds else { throw InputError(.configuration, field: "call.\(field)", value: "\(value)", rule: rule) }
        }
        try require(layer < model.layers, "layer", layer, "the config is for \(model.layers) layers")
        try require(shape.queryHeads == model.queryHeads, "query_heads", shape.queryHeads, "the config is for \(model.queryHeads)")
        try require(
            shape.keyValueHeads == model.keyValueHeads, "key_value_heads", shape.keyValueHeads, "the config is for \(model.keyValueHeads)")
        try require(
            shape.headDimension == model.headDimension, "head_dimension", shape.headDimension, "the config is for \(model.headDimension)")
    }

    var info: sample_attention_config_info {
        var info = sample_attention_config_info()
        guard let tuned else { return info }
        info.layers = Int64(tuned.model.layers)
        info.query_heads = Int64(tuned.model.queryHeads)
        info.key_value_heads = Int64(tuned.model.keyValueHeads)
        info.head_dimension = Int64(tuned.model.headDimension)
        info.dense_below = Int64(tuned.denseBelow)
        info.lengths = Int64(tuned.buckets.count)
        withUnsafeMutableBytes(of: &info.family) { write(tuned.model.family, to: $0) }
        withUnsafeMutableBytes(of: &info.weights_sha256) { write(tuned.model.weightsSHA256, to: $0) }
        return info
    }
}
