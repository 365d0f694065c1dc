import AttentionCore
import AttentionKernels
import Parallelism
import SampleAttention

/// Every probability of one head, row block by row block, in FP32 whatever the kernel's precision; nothing is stored but a strip
/// of `lanes` × keys for each worker.
///
/// Rows are dealt to a fixed number of slots, each worked through by one task: sums made slot by slot do not depend on the
/// threads.
struct ProbabilityWalk: Sendable {
    /// Sums that a head's rows are split into; more than a machine's threads leave none idle.
    static let slots = 16
    static let lanes = SampledScores.lanesPerBlock

    let kernel: AttentionKernel
    private let scores: SampledScores
    var pool: WorkerPool { kernel.pool }

    init(kernel: AttentionKernel) {
        self.kernel = kernel
        scores = SampledScores(kernel: kernel)
    }

    /// One block of rows of a head with its scored strip.
    struct Step {
        let block: SampledBlock
        let strip: SampledStrip
        /// Index of the first row among the queries.
        let firstRow: Int
        let slot, worker: Int
        /// The 128-token block that holds all rows of this block.
        let queryBlock: Int
    }

    /// There and back again, for later blocks have more keys: a slot's first is among the shortest when its last is among the longest.
    private static func queryBlocks(ofSlot slot: Int, in blocks: Range<Int>) -> [Int] {
        stride(from: blocks.lowerBound, to: blocks.upperBound, by: slots).enumerated()
            .map { round, start in start + (round % 2 == 0 ? slot : slots - 1 - slot) }
            .filter { $0 < blocks.upperBound }
    }

    /// Calls `body` for every block of rows; blocks of one slot come one after the other, those of one `queryBlock` in one slot.
    func run(head: Int, inputs: LayerInputs, workspace: AttentionWorkspace, body: @Sendable (Step) -> Void) {
        let shape = inputs.shape
        workspace.exclusively {
            let layout = scores.prepareStrips(workspace, shape: shape, precision: .fp32)
            let firstBlock = shape.firstPosition / BlockMask.blockSize
            let blocks = BlockMask.blockCount(tokens: shape.keyCount)
            pool.run(min(Self.slots, blocks - firstBlock)) { worker, slot in
                for queryBlock in Self.queryBlocks(ofSlot: slot, in: firstBlock..<blocks) {
                    let first = max(0, queryBlock * BlockMask.blockSize - shape.firstPosition)
                    let end = min(shape.queryCount, (queryBlock + 1) * BlockMask.blockSize - shape.firstPosition)
                    for row in stride(from: first, to: end, by: Self.lanes) {
                        let block = scores.block(
                            query: inputs.query.head(head), key: inputs.key.head(shape.keyValueHead(of: head)),
                            rows: Array(row..<min(row + Self.lanes, end))[...], rule: shape.scores, precision: .fp32, worker: worker,
                            workspace: workspace)
                        let strip = workspace.strip(layout, worker: worker)
                        block.scoreAll(into: strip)
                        body(Step(block: block, strip: strip, firstRow: row, slot: slot, worker: worker, queryBlock: queryBlock))
                    }
                }
            }
        }
    }
}
