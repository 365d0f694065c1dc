import AttentionCore
import AttentionKernels
import LinearAlgebra
import Parallelism

/// Dense causal attention as a plain loop of OpenBLAS tiles: what one would write without a kernel of one's own.
struct BlasTileAttention {
    let kernel: AttentionKernel
    private static let tile = 128

    func run(shape: AttentionShape, query: HeadTensor, key: HeadTensor, value: HeadTensor, output: MutableHeadTensor) {
        let tile = Self.tile
        let blocks = (shape.queryCount + tile - 1) / tile
        let scratch = AlignedBuffer<Float>(count: kernel.pool.threads * (tile * tile + 2 * tile))
        let base = SharedPointer(scratch.base)
        kernel.pool.run(blocks * shape.queryHeads) { worker, index in
            let first = (blocks - 1 - index / shape.queryHeads) * tile
            let block = Block(
                head: index % shape.queryHeads, first: first, rows: min(tile, shape.queryCount - first),
                scores: base.base + worker * (tile * tile + 2 * tile))
            run(block, shape: shape, query: query, key: key, value: value, output: output)
        }
    }

    private struct Block {
        let head, first, rows: Int
        /// [row][key of tile], then the running maximum and sum of each row.
        let scores: UnsafeMutablePointer<Float>
        var maximum: UnsafeMutablePointer<Float> { scores + BlasTileAttention.tile * BlasTileAttention.tile }
        var sum: UnsafeMutablePointer<Float> { maximum + BlasTileAttention.tile }
    }

    private func run(
        _ block: Block, shape: AttentionShape, query: HeadTensor, key: HeadTensor, value: HeadTensor, output: MutableHeadTensor
    ) {
        let d = shape.headDimension
        let own = shape.keyValueHead(of: block.head)
        let target = output.row(head: block.head, token: block.first)
        let stride = output.readOnly.tokenStride
        block.maximum.update(repeating: -.infinity, count: block.rows)
        block.sum.update(repeating: 0, count: block.rows)
        for row in 0..<block.rows { (target + row * stride).update(repeating: 0, count: d) }
        let end = shape.firstPosition + block.first + block.rows
        for start in Swift.stride(from: 0, to: end, by: Self.tile) {
            let keys = min(Self.tile, end - start)
            MatrixProduct.multiply(
                rows: block.rows, columns: keys, inner: d, a: query.row(head: block.head, token: block.first), aStride: query.tokenStride,
                b: key.row(head: own, token: start), bStride: key.tokenStride, transposedB: true, into: block.scores, cStride: Self.tile)
            for row in 0..<block.rows {
                softmax(
                    row, block, keys: keys, visible: shape.firstPosition + block.first + row + 1 - start, d: d,
                    output: target + row * stride)
            }
            MatrixProduct.multiply(
                rows: block.rows, columns: d, inner: keys, a: block.scores, aStride: Self.tile, b: value.row(head: own, token: start),
                bStride: value.tokenStride, transposedB: false, into: target, cStride: stride, scaleC: 1)
        }
        for row in 0..<block.rows {
            let inverse = 1 / block.sum[row]
            for t in 0..<d { target[row * stride + t] *= inverse }
        }
    }

    private func softmax(_ row: Int, _ block: Block, keys: Int, visible: Int, d: Int, output: UnsafeMutablePointer<Float>) {
        let scores = block.scores + row * Self.tile
        let scale = Float(1.4426950408889634 / Double(d).squareRoot())
        let seen = min(keys, visible)
        var highest = block.maximum[row]
        for key in 0..<max(0, seen) {
            scores[key] *= scale
            highest = max(highest, scores[key])
        }
        for key in max(0, seen)..<keys { scores[key] = -.infinity }
        guard highest > -.infinity else { return scores.update(repeating: 0, count: keys) }
        var rescale = [block.maximum[row]]
        _ = kernel.rowKernels.exponentiate(&rescale, count: 1, maximum: highest)
        block.sum[row] = block.sum[row] * rescale[0] + kernel.rowKernels.exponentiate(scores, count: keys, maximum: highest)
        block.maximum[row] = highest
        for t in 0..<d { output[t] *= rescale[0] }
    }
}
