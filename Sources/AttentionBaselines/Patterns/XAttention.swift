import AttentionCore
import AttentionKernels
import Parallelism
import SampleAttention

/// XAttention: blocks of keys ranked by the attention along strided antidiagonals.
///
/// Every `stride` queries, in reverse order, are one long vector, and so are every `stride` keys: their product is the sum of the
/// scores on an antidiagonal of a stride × stride square. Softmax of these sums over a row, added up by 128-token blocks, is a
/// block's estimate; each query block keeps the fewest key blocks that reach the threshold, the first and its own among them.
/// Source: XAttention (arXiv 2503.16428): stride 8, threshold 0.9.
/// Complexity: queries · keys · d / stride operations a head, in the kernel's precision.
public struct XAttention: PatternMethod {
    public var stride = 8
    public var threshold = try! Fraction(0.9)
    public var budget: Budget

    public init(budget: Budget = .own) { self.budget = budget }

    public func patterns(_ call: LayerCall, workspace: AttentionWorkspace) -> [SparsePattern] {
        let estimates = AntidiagonalEstimate(call, stride: stride)
        return call.patternOfEachHead { head in
            let rows = estimates.rows(head: head).map { row in
                // The first block and the query's own lead the row, and count.
                let own = row.count - 1
                return (own: own, masses: own == 0 ? nil : FewestToReach([row[0], row[own]] + row[1..<own], keepingFirst: 2))
            }
            return budget.pattern(shape: call.shape) { strength in
                let share = strength ?? threshold.value
                let kept = rows.map { own, masses -> Set<Int> in
                    guard let masses else { return [0] }
                    let places = masses.positions(reaching: share * masses.total).positions
                    return Set(places.map { $0 == 0 ? 0 : $0 == 1 ? own : Int($0) - 1 })
                }
                let first = call.blocks - rows.count
                return .blocks(BlockMask(blocks: call.blocks) { $0 >= first && kept[$0 - first].contains($1) })
            }
        }
    }
}

/// Attention by pairs of 128-token blocks, estimated from sums along antidiagonals.
struct AntidiagonalEstimate {
    private let call: LayerCall
    private let stride: Int
    /// [key-value head], keys [group][stride · d].
    private let keys: [PackedMatrix]

    private var width: Int { stride * call.shape.headDimension }
    private var groups: Int { (call.shape.keyCount + stride - 1) / stride }

    init(_ call: LayerCall, stride: Int) {
        precondition(BlockMask.blockSize % stride == 0, "a block holds whole groups")
        self.call = call
        self.stride = stride
        let groups = (call.shape.keyCount + stride - 1) / stride
        let inputs = stride * call.shape.headDimension
        keys = call.pool.map(call.shape.keyValueHeads) { head in
            let rows = Self.rows(call.inputs.key.head(head), positions: 0..<groups * stride, firstPosition: 0, reversedBy: nil)
            return PackedMatrix(rows.base, outputs: groups, inputs: inputs, kernel: call.kernel)
        }
    }

    /// [query block][key block ≤ query block]: the share of the query block's groups that each key block holds, times the number of
    /// groups.
    func rows(head: Int) -> [[Float]] {
        let size = BlockMask.blockSize
        return (call.shape.firstPosition / size..<call.blocks).map { block in
            row(block, head: head, query: call.inputs.query.head(head))
        }
    }

    private func row(_ block: Int, head: Int, query: HeadTensor) -> [Float] {
        let size = BlockMask.blockSize
        let count = size / stride
        let kernel = call.kernel
        let rows = Self.rows(
            query, positions: block * size..<(block + 1) * size, firstPosition: call.shape.firstPosition, reversedBy: stride)
        let columns = min(groups, (block + 1) * count)
        let scores = AlignedBuffer<Float>(count: count * columns)
        let room = AlignedBuffer<Float>(count: kernel.packedElements(rows: count, inputs: width))
        kernel.multiply(
            kernel.packed(rows.base, rows: count, inputs: width, room: room.base), keys[call.shape.keyValueHead(of: head)],
            outputs: 0..<columns, into: scores.base, stride: columns)
        var sums = [Float](repeating: 0, count: block + 1)
        let present = max(call.shape.firstPosition, block * size) / stride...(min(call.shape.keyCount, (block + 1) * size) - 1) / stride
        for group in present { addSoftmax(scores.base + (group - block * count) * columns, count: group + 1, into: &sums) }
        return sums
    }

    /// Turns one row of scores into probabilities of the first `count` groups and adds them up by blocks.
    private func addSoftmax(_ scores: UnsafeMutablePointer<Float>, count: Int, into sums: inout [Float]) {
        let scale = Float(1.4426950408889634 / (Double(stride) * Double(call.shape.headDimension).squareRoot()))
        var highest = -Float.infinity
        for index in 0..<count {
            scores[index] *= scale
            highest = max(highest, scores[index])
        }
        let total = call.kernel.rowKernels.exponentiate(scores, count: count, maximum: highest)
        let perBlock = BlockMask.blockSize / stride
        for index in 0..<count { sums[index / perBlock] += scores[index] / total }
    }

    /// Rows at positions next to each other, zeros where there are none; within each group of `reversedBy` the last comes first.
    ///
    /// Shape: [positions][d].
    private static func rows(
        _ tensor: HeadTensor, positions: Range<Int>, firstPosition: Int, reversedBy group: Int?
    ) -> AlignedBuffer<Float> {
        let rows = AlignedBuffer<Float>(count: positions.count * tensor.dimension)
        for (index, position) in positions.enumerated() {
            let token = position - firstPosition
            guard (0..<tensor.tokens).contains(token) else { continue }
            let place = group.map { index / $0 * $0 + $0 - 1 - index % $0 } ?? index
            (rows.base + place * tensor.dimension).update(from: tensor.row(head: 0, token: token), count: tensor.dimension)
        }
        return rows
    }
}
