import AttentionCore
import AttentionKernels
import Parallelism

/// Memory that forward passes of up to so many tokens work in, one after the other.
final class ForwardBuffers: @unchecked Sendable {  // Workers write tiles of their own.
    /// At most.
    let tokens: Int
    /// [tokens][queryHeads · d]: rotated queries, and what attention made of them.
    let queries, attended: AlignedBuffer<Float>
    fileprivate let tiles: AlignedBuffer<Float>
    /// Of one worker's tile; packed rows stand at its end.
    fileprivate let tileRows, tileFloats, packedOffset: Int
    /// Seconds in matrix products, one entry a worker.
    fileprivate let productSeconds: AlignedBuffer<Double>
    /// Floats of a row of the residual stream, and of what a tile's two wide rows have room for.
    fileprivate let hiddenSize, width: Int
    /// Room of layers with experts; nil in decoders that have none.
    let experts: ExpertBuffers?

    init(_ d: DecoderDescription, tokens: Int, kernel: AttentionKernel) throws(InputError) {
        self.tokens = tokens
        let purpose = "queries and outputs of \(tokens) tokens"
        queries = try AlignedBuffer(extents: tokens, d.queryHeads, d.headDimension, of: purpose)
        attended = try AlignedBuffer(extents: tokens, d.queryHeads, d.headDimension, of: purpose)
        tileRows = min(Decoder.tileRows, tokens)
        hiddenSize = d.hiddenSize
        let feedForward = d.widestFeedForward
        width = max(feedForward, d.keyValueHeads * d.headDimension)
        packedOffset = tileRows * (2 * hiddenSize + 2 * width)
        let widest = max(hiddenSize, feedForward, d.queryHeads * d.headDimension)
        tileFloats = packedOffset + kernel.packedElements(rows: tileRows, inputs: widest)
        experts = try d.mostActiveExperts.map { active throws(InputError) in
            try ExpertBuffers(hiddenSize: d.hiddenSize, active: active, tokens: tokens)
        }
        tiles = AlignedBuffer(count: tileFloats * kernel.pool.threads)
        productSeconds = AlignedBuffer(count: kernel.pool.threads)
    }

    /// The share of the passes' wall time that products took, when all workers are busy.
    var meanProductSeconds: Double { productSeconds.elements.reduce(0, +) / Double(productSeconds.count) }
}

/// The tiles of every worker in one pass over rows.
struct ForwardTiles: @unchecked Sendable {
    let rows: Int
    private let kernel: AttentionKernel
    private let base: UnsafeMutablePointer<Float>
    private let floats, packedOffset, hiddenSize, width: Int
    private let seconds: UnsafeMutablePointer<Double>
    private let isAlone: Bool

    init(_ buffers: ForwardBuffers, count: Int, kernel: AttentionKernel) {
        self.init(buffers, isAlone: count <= Decoder.tileRows, kernel: kernel)
    }

    /// - Parameter isAlone: one tile is worked on at a time, whose products all threads share.
    init(_ buffers: ForwardBuffers, isAlone: Bool, kernel: AttentionKernel) {
        self.kernel = kernel
        self.isAlone = isAlone
        base = buffers.tiles.base
        rows = buffers.tileRows
        floats = buffers.tileFloats
        hiddenSize = buffers.hiddenSize
        width = buffers.width
        packedOffset = buffers.packedOffset
        seconds = buffers.productSeconds.base
    }

    subscript(worker: Int) -> ForwardTile {
        let own = base + worker * floats
        let wide = own + 2 * rows * hiddenSize
        return ForwardTile(
            kernel: kernel, normed: own, branch: own + rows * hiddenSize, first: wide, second: wide + rows * width,
            packedBuffer: own + packedOffset, seconds: seconds + worker, isAlone: isAlone)
    }
}

/// One worker's part of a pass over tiles: where it works, and how long its products took.
struct ForwardTile {
    fileprivate let kernel: AttentionKernel
    /// [rows][hidden] each: what goes into products, and what a branch adds to the residual stream.
    let normed, branch: UnsafeMutablePointer<Float>
    /// [rows][the widest feed-forward, or all keys] each: keys and values, or gate and up.
    let first, second: UnsafeMutablePointer<Float>
    fileprivate let packedBuffer: UnsafeMutablePointer<Float>
    fileprivate let seconds: UnsafeMutablePointer<Double>
    /// There is one tile only: the other workers are free.
    fileprivate let isAlone: Bool

    /// Rows ready for `multiply`, until the next ones are packed.
    func packed(_ input: UnsafePointer<Float>, rows: Int, inputs: Int) -> PackedRows {
        let start = ContinuousClock.now
        defer { count(since: start) }
        return kernel.packed(input, rows: rows, inputs: inputs, room: packedBuffer)
    }

    /// output[row] (+)= matrix · input[row].
    func multiply(
        _ input: PackedRows, _ matrix: PackedMatrix, into output: UnsafeMutablePointer<Float>, adding: Bool = false
    ) {
        let start = ContinuousClock.now
        if isAlone {
            multiplyTogether(input, matrix, into: SharedPointer(output), adding: adding)
        } else {
            kernel.multiply(input, matrix, into: output, stride: matrix.outputs, adding: adding)
        }
        count(since: start)
    }

    /// Alone, all workers spent this time.
    private func count(since start: ContinuousClock.Instant) {
        seconds.pointee += (ContinuousClock.now - start).seconds * (isAlone ? Double(kernel.pool.threads) : 1)
    }

    /// Few rows, as in decoding: all workers share the outputs of one product.
    private func multiplyTogether(_ rows: PackedRows, _ matrix: PackedMatrix, into output: SharedPointer<Float>, adding: Bool) {
        let share = (matrix.outputs + kernel.pool.threads - 1) / kernel.pool.threads
        // Waking a worker costs some microseconds: a piece is worth it from a quarter of a million products on.
        let least = max(1, (1 << 18) / (rows.rows * matrix.inputs))
        let block = PackedMatrix.blockOutputs
        let piece = (max(share, least) + block - 1) / block * block
        kernel.pool.run((matrix.outputs + piece - 1) / piece) { [kernel] _, index in
            let outputs = index * piece..<min((index + 1) * piece, matrix.outputs)
            kernel.multiply(
                rows, matrix, outputs: outputs, into: output.base + outputs.lowerBound, stride: matrix.outputs, adding: adding)
        }
    }
}
