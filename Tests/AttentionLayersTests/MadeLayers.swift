import AttentionCore
import AttentionKernels
import AttentionLayers
import AttentionTestSupport
import Parallelism
import RunProvenance

/// Layers made of random numbers, shown as a model would show them.
struct MadeLayers: LayerSource {
    static let model = ModelIdentity(
        family: "made", layers: 3, queryHeads: 4, keyValueHeads: 2, headDimension: 6, weightsSHA256: "w", tokenizerSHA256: "t")

    let kernel: AttentionKernel
    let layers = [0, 1, 2]
    let queryHeads = 4
    let text = Provenance.Text(name: "made.txt", sha256: "ab12")
    let tokens = 9

    init() throws { kernel = try AttentionKernel(pool: WorkerPool(threads: 1)) }

    func forEachLayer(_ body: (LayerAttention) throws -> Void) throws {
        let shape = AttentionShape(queryHeads: 4, keyValueHeads: 2, queryCount: tokens, keyCount: tokens, headDimension: 6)
        let plan = try AttentionPlan(shape: shape, patterns: Array(repeating: .dense, count: 4))
        let buffer = AlignedBuffer<Float>(count: tokens * 4 * 6)
        let output = MutableHeadTensor(projection: buffer.base, heads: 4, tokens: tokens, dimension: 6)
        for layer in layers {
            try NaiveAttention(shape: shape, seed: UInt64(layer)).withTensors { query, key, value in
                kernel.run(plan, query: query, key: key, value: value, output: output, workspace: AttentionWorkspace())
                let inputs = LayerInputs(query: query, key: key, value: value)
                try body(LayerAttention(layer: layer, inputs: inputs, output: output.readOnly))
            }
        }
    }
}
