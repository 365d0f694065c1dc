import AttentionCore
import AttentionKernels
import ModelFormats

/// A table [outputs][inputs] of rows to look up, or a vector, in FP32.
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

    func packed(_ kernel: AttentionKernel) -> PackedMatrix {
        PackedMatrix(base, outputs: outputs, inputs: inputs, kernel: kernel)
    }
}

/// The tensors of a Llama-family decoder, by their Hugging Face names; matrices packed for the kernel that multiplies them.
struct LlamaWeights: Sendable {
    struct Layer: Sendable {
        let inputNorm, postAttentionNorm: Weights
        let query, key, value, output, gate, up, down: PackedMatrix
    }

    let embedding: Weights
    let layers: [Layer]
    let finalNorm: Weights
    /// The file's own head where it has one, else the embedding's own values when they are tied.
    let head: PackedMatrix
    /// Where the tensors come from.
    let names: LlamaTensorNames

    init(
        _ archive: SafetensorsArchive, names: LlamaTensorNames, configuration c: ModelConfiguration, kernel: AttentionKernel
    ) throws(InputError) {
        self.names = names
        func vector(_ name: String) throws(InputError) -> Weights { try Weights(archive, names.own(name), [c.hiddenSize]) }
        func matrix(_ name: String, _ outputs: Int, _ inputs: Int) throws(InputError) -> PackedMatrix {
            try Weights(archive, names.own(name), [outputs, inputs]).packed(kernel)
        }
        let (queries, keyValues) = (c.queryHeads * c.headDimension, c.keyValueHeads * c.headDimension)
        embedding = try Weights(archive, names.own(LlamaTensorNames.embedding), [c.vocabularySize, c.hiddenSize])
        var layers: [Layer] = []
        for index in 0..<c.layerCount {
            func name(_ part: String) -> String { LlamaTensorNames.layer(index, part) }
            layers.append(
                Layer(
                    inputNorm: try vector(name("input_layernorm")), postAttentionNorm: try vector(name("post_attention_layernorm")),
                    query: try matrix(name("self_attn.q_proj"), queries, c.hiddenSize),
                    key: try matrix(name("self_attn.k_proj"), keyValues, c.hiddenSize),
                    value: try matrix(name("self_attn.v_proj"), keyValues, c.hiddenSize),
                    output: try matrix(name("self_attn.o_proj"), c.hiddenSize, queries),
                    gate: try matrix(name("mlp.gate_proj"), c.intermediateSize, c.hiddenSize),
                    up: try matrix(name("mlp.up_proj"), c.intermediateSize, c.hiddenSize),
                    down: try matrix(name("mlp.down_proj"), c.hiddenSize, c.intermediateSize)))
        }
        self.layers = layers
        finalNorm = try vector(LlamaTensorNames.finalNorm)
        head =
            names.hasHead
            ? try matrix(LlamaTensorNames.head, c.vocabularySize, c.hiddenSize) : embedding.packed(kernel)
    }
}
