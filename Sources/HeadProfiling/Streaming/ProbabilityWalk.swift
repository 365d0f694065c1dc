import AttentionCore
import AttentionKernels
import Parallelism
import SampleAttention

/// Every probability of one head, row block by row block, in FP32 whatever the kernel's precision; nothing is stored but a strip
/// of `lanes` × keys for each worker.
///
/// Blocks of rows go to whoever is free, so that what is made of them must not depend on the order: see `MassSum`.
struct ProbabilityWalk: Sendable {
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
        let worker: Int
        /// The 128-token block that holds all rows of this block.
        let queryBlock: Int
    }

    /// Calls `body` for every block of rows; those of one `queryBlock` come one after the other on one worker.
    func run(head: Int, inputs: LayerInputs, workspace: AttentionWorkspace, body: @Sendable (Step) -> Void) {
        let shape = inputs.shape
        workspace.exclusively {
            let layout = scores.prepareStrips(workspace, shape: shape, precision: .fp32)
            let firstBlock = shape.firstPosition / BlockMask.blockSize
            let blocks = BlockMask.blockCount(tokens: shape.keyCount)
            pool.run(blocks - firstBlock) { worker, index in
                // The longest first.
                let queryBlock = blocks - 1 - index
                let first = max(0, queryBlock * BlockMask.blockSize - shape.firstPosition)
                let end = min(shape.queryCount, (queryBlock + 1) * BlockMask.blockSize - shape.firstPosition)
                for row in stride(from: first, to: end, by: Self.lanes) {
                    let block = scores.block(
                        query: inputs.query.head(head), key: inputs.key.head(shape.keyValueHead(of: head)),
                        rows: Array(row..<min(row + Self.lanes, end))[...], rule: shape.scores, precision: .fp32, worker: worker,
                        workspace: workspace)
                    let strip = workspace.strip(layout, worker: worker)
                    block.scoreAll(into: strip)
                    body(Step(block: block, strip: strip, firstRow: row, worker: worker, queryBlock: queryBlock))
                }
            }
        }
    }
}

/// Sums of masses that are the same in whatever order the masses are added: in whole units of 2⁻⁴⁰, up to 2²³.
enum MassSum {
    private static let unit: Double = 0x1p-40
    /// Numbers of at most 2¹¹ added to this one have units for the last bit of their significand.
    private static let aligned: Double = 0x1.8p12

    /// The nearest whole number of units.
    @inline(__always)
    static func units(_ mass: Float) -> Int64 { Int64(bitPattern: (Double(mass) + aligned).bitPattern &- aligned.bitPattern) }

    static func mass(_ units: Int64) -> Double { Double(units) * unit }
}
