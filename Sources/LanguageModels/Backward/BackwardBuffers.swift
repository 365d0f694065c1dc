import AttentionCore
import AttentionKernels
import Parallelism

/// Memory that the backward pass of one layer works in, for some label sets at a time.
final class BackwardBuffers: @unchecked Sendable {  // Workers write tiles of their own.
    let tokens: Int
    /// [tokens][queryHeads · d] and [tokens][keyValueHeads · d]: what attention read.
    let queries, keys, values: AlignedBuffer<Float>
    /// [labels][tokens][queryHeads · d]: gradients at the output of attention.
    let attended: AlignedBuffer<Float>
    /// [tokens][queryHeads · d] and [tokens][keyValueHeads · d]: gradients of one label set at attention's inputs.
    let query, key, value: AlignedBuffer<Float>
    /// [labels][tokens][hidden] where both branches of a layer read the same norm: what the feed-forward's sends back to it.
    let normed: AlignedBuffer<Float>
    private let tiles: AlignedBuffer<Float>
    private let rows, hidden, heads, width, packed, floats: Int
    private let kernel: AttentionKernel

    init(_ d: DecoderDescription, tokens: Int, labels: Int, kernel: AttentionKernel) throws(InputError) {
        self.tokens = tokens
        self.kernel = kernel
        let purpose = "gradients of \(tokens) tokens"
        let (queryFloats, keyFloats) = (d.queryHeads * d.headDimension, d.keyValueHeads * d.headDimension)
        queries = try AlignedBuffer(extents: tokens, queryFloats, of: purpose)
        keys = try AlignedBuffer(extents: tokens, keyFloats, of: purpose)
        values = try AlignedBuffer(extents: tokens, keyFloats, of: purpose)
        attended = try AlignedBuffer(extents: labels, tokens, queryFloats, of: purpose)
        query = try AlignedBuffer(extents: tokens, queryFloats, of: purpose)
        key = try AlignedBuffer(extents: tokens, keyFloats, of: purpose)
        value = try AlignedBuffer(extents: tokens, keyFloats, of: purpose)
        let isParallel = d.layers.contains { $0.order == .parallel }
        normed = try AlignedBuffer(extents: isParallel ? labels : 0, tokens, d.hiddenSize, of: purpose)
        rows = min(Decoder.tileRows, tokens)
        hidden = d.hiddenSize
        heads = max(queryFloats, keyFloats)
        width = d.widestFeedForward
        let experts = d.layers.map { if case .experts(let experts) = $0.feedForward { experts.count } else { 0 } }.max() ?? 0
        packed = kernel.packedElements(rows: rows, inputs: max(hidden, heads, width, experts))
        floats = (rows * (4 * hidden + 2 * heads + 4 * width) + packed + 15) / 16 * 16
        tiles = try AlignedBuffer(extents: kernel.pool.threads, floats, of: purpose)
    }

    func tile(_ worker: Int) -> BackwardTile {
        var next = tiles.base + worker * floats
        func take(_ count: Int) -> UnsafeMutablePointer<Float> {
            defer { next += count }
            return next
        }
        return BackwardTile(
            kernel: kernel, residual: take(rows * hidden), normed: take(rows * hidden), branch: take(rows * hidden),
            gradient: take(rows * hidden), heads: take(rows * heads), otherHeads: take(rows * heads), toGate: take(rows * width),
            toUp: take(rows * width), value: take(rows * width), wide: take(rows * width), packedBuffer: take(packed))
    }
}

/// One worker's rows of a backward pass.
struct BackwardTile: @unchecked Sendable {
    let kernel: AttentionKernel
    /// [rows][hidden] each: the residual stream between the branches, what goes into products, what a branch gives, and a gradient.
    let residual, normed, branch, gradient: UnsafeMutablePointer<Float>
    /// [rows][the queries or keys of all heads] each.
    let heads, otherHeads: UnsafeMutablePointer<Float>
    /// [rows][the widest feed-forward] each; see `RowGradients.activation`.
    let toGate, toUp, value, wide: UnsafeMutablePointer<Float>
    let packedBuffer: UnsafeMutablePointer<Float>

    /// output[row] (+)= matrix · x[row] + bias.
    func multiply(
        _ x: UnsafePointer<Float>, rows: Int, _ matrix: PackedMatrix, bias: WeightVector? = nil, into output: UnsafeMutablePointer<Float>,
        adding: Bool = false
    ) {
        let input = kernel.packed(x, rows: rows, inputs: matrix.inputs, room: packedBuffer)
        kernel.multiply(input, matrix, into: output, stride: matrix.outputs, adding: adding)
        guard let bias = bias?.base else { return }
        for row in 0..<rows {
            for index in 0..<matrix.outputs { output[row * matrix.outputs + index] += bias[index] }
        }
    }

    func multiply(_ x: UnsafePointer<Float>, rows: Int, _ own: DecoderWeights.Projection, into output: UnsafeMutablePointer<Float>) {
        multiply(x, rows: rows, own.matrix, bias: own.bias, into: output)
    }
}
