import AttentionCore
import ModelFormats

/// A weight matrix [outputs][inputs] or vector, converted to FP32.
final class Weights: Sendable {
    let outputs: Int
    let inputs: Int
    private let storage: AlignedBuffer<Float>

    /// - Throws: `InputError` when the tensor is missing, has another shape or holds a value that is not finite.
    init(_ archive: SafetensorsArchive, _ name: String, _ shape: [Int]) throws(InputError) {
        // Before any memory is taken: sizes from a lying config.json can be terabytes.
        try archive.check(name, shape: shape)
        outputs = shape[0]
        inputs = shape.count > 1 ? shape[1] : 1
        storage = AlignedBuffer(count: outputs * inputs)
        try archive.read(name, shape: shape, into: storage.base)
    }

    var base: UnsafePointer<Float> { UnsafePointer(storage.base) }
    func row(_ index: Int) -> UnsafePointer<Float> { base + index * inputs }
}

/// The tensors of a Llama-family decoder, by their Hugging Face names.
struct LlamaWeights: Sendable {
    struct Layer: Sendable {
        let inputNorm, query, key, value, output, postAttentionNorm, gate, up, down: Weights
    }

    let embedding: Weights
    let layers: [Layer]
    let finalNorm: Weights
    /// The embedding itself when they are tied.
    let head: Weights

    init(_ archive: SafetensorsArchive, configuration c: ModelConfiguration) throws(InputError) {
        let queries = c.queryHeads * c.headDimension
        let keyValues = c.keyValueHeads * c.headDimension
        embedding = try Weights(archive, "model.embed_tokens.weight", [c.vocabularySize, c.hiddenSize])
        var layers: [Layer] = []
        for index in 0..<c.layerCount {
            func load(_ name: String, _ shape: [Int]) throws(InputError) -> Weights {
                try Weights(archive, "model.layers.\(index).\(name).weight", shape)
            }
            layers.append(
                Layer(
                    inputNorm: try load("input_layernorm", [c.hiddenSize]),
                    query: try load("self_attn.q_proj", [queries, c.hiddenSize]),
                    key: try load("self_attn.k_proj", [keyValues, c.hiddenSize]),
                    value: try load("self_attn.v_proj", [keyValues, c.hiddenSize]),
                    output: try load("self_attn.o_proj", [c.hiddenSize, queries]),
                    postAttentionNorm: try load("post_attention_layernorm", [c.hiddenSize]),
                    gate: try load("mlp.gate_proj", [c.intermediateSize, c.hiddenSize]),
                    up: try load("mlp.up_proj", [c.intermediateSize, c.hiddenSize]),
                    down: try load("mlp.down_proj", [c.hiddenSize, c.intermediateSize])))
        }
        self.layers = layers
        finalNorm = try Weights(archive, "model.norm.weight", [c.hiddenSize])
        head = c.tiesEmbeddings ? embedding : try Weights(archive, "lm_head.weight", [c.vocabularySize, c.hiddenSize])
    }
}
