import AttentionCore
import ModelFormats

/// Which tensors of an archive a Llama decoder reads, and which are left over.
struct LlamaTensorNames: Sendable {
    static let embedding = "model.embed_tokens.weight"
    static let finalNorm = "model.norm.weight"
    static let head = "lm_head.weight"

    static func layer(_ index: Int, _ part: String) -> String { "model.layers.\(index).\(part).weight" }

    private static let layerParts = [
        "input_layernorm", "post_attention_layernorm", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
        "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj",
    ]
    /// Ends of the names of tables that older programs saved and that follow from the configuration.
    private static let buffers = [".rotary_emb.inv_freq", ".rotary_emb.cos_cached", ".rotary_emb.sin_cached"]
    /// What a name lacks where the decoder was saved without its head.
    private static let prefix = "model."

    /// True when the decoder has a matrix of its own for the scores.
    let hasHead: Bool
    private let layerCount: Int
    /// False when the names lack the prefix.
    private let hasPrefix: Bool

    init(_ archive: SafetensorsArchive, configuration: ModelConfiguration) {
        let bare = String(Self.embedding.dropFirst(Self.prefix.count))
        // Where neither name is there, the usual one is missed.
        hasPrefix = archive.contains(Self.embedding) || !archive.contains(bare)
        layerCount = configuration.layerCount
        let embedding = hasPrefix ? Self.embedding : bare
        // A head that the file has counts even where the configuration says that it is the embedding; where it is, it is a copy that
        // other programs do not save.
        hasHead = !configuration.tiesEmbeddings || archive.contains(Self.head) && !archive.haveEqualContents(Self.head, embedding)
    }

    /// A tensor's name in the archive.
    func own(_ name: String) -> String { hasPrefix || !name.hasPrefix(Self.prefix) ? name : String(name.dropFirst(Self.prefix.count)) }

    /// Every tensor that is read, by its usual name.
    var all: [String] {
        [Self.embedding, Self.finalNorm] + (hasHead ? [Self.head] : [])
            + (0..<layerCount).flatMap { index in Self.layerParts.map { Self.layer(index, $0) } }
    }

    /// Tensors that are not read: those inside the layers that are run, which would change what the model computes, and others.
    /// Tables that follow from the configuration are in neither list.
    func leftOver(in archive: SafetensorsArchive) -> (inLayers: [String], elsewhere: [String]) {
        // A head that is not read is a copy of the embedding.
        let read = Set(all.map(own) + [Self.head])
        let rest = archive.names.filter { name in !read.contains(name) && !Self.buffers.contains(where: name.hasSuffix) }.sorted()
        let layers = own("model.layers.")
        func isInLayers(_ name: String) -> Bool {
            guard name.hasPrefix(layers), let index = Int(name.dropFirst(layers.count).prefix { $0 != "." }) else { return false }
            return (0..<layerCount).contains(index)
        }
        return (rest.filter(isInLayers), rest.filter { !isInLayers($0) })
    }

    /// Ends of the names of what stands beside quantised weights, in the place of "weight": by MLX, GPTQ, AWQ, FP8, compressed tensors and
    /// bitsandbytes.
    private static let quantizedParts = [
        "scales", "qweight", "weight_scale", "weight_scale_inv", "weight_packed", "weight.absmax", "absmax", "SCB",
    ]

    /// Weights may be quantised without the configuration's saying so.
    ///
    /// - Throws: `InputError` (`unsupported`).
    func checkAreNotQuantized(_ archive: SafetensorsArchive) throws(InputError) {
        for name in all {
            let stem = own(name).dropLast("weight".count)
            guard let part = Self.quantizedParts.first(where: { archive.contains(stem + $0) }) else { continue }
            throw InputError(.unsupported, file: archive.listing, field: stem + part, rule: "quantised weights are not supported")
        }
    }
}
