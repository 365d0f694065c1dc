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
        precondition(Self.lanes == WindowKeyBlocks.queryBlockRows, "the rows of a step are those of one query block of key blocks")
        scores = SampledScores(kernel: kernel)
    }

    /// One block of rows of a head with its scored strip: the rows of one 64-row query block, as `WindowKeyBlocks` counts them.
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
                for start in stride(from: queryBlock * BlockMask.blockSize, to: (queryBlock + 1) * BlockMask.blockSize, by: Self.lanes) {
                    let first = max(start, shape.firstPosition) - shape.firstPosition
                    let end = min(start + Self.lanes, shape.keyCount) - shape.firstPosition
                    guard first < end else { continue }
                    let block = scores.block(
                        query: inputs.query.head(head), key: inputs.key.head(shape.keyValueHead(of: head)),
                        rows: Array(first..<end)[...], rule: shape.scores, precision: .fp32, worker: worker,
                        workspace: workspace)
                    let strip = workspace.strip(layout, worker: worker)
                    block.scoreAll(into: strip)
                    body(Step(block: block, strip: strip, firstRow: first, worker: worker, queryBlock: queryBlock))
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
    static func units(_ mass: Float) -> Int64 { units(Double(mass)) }

    @inline(__always)
    static func units(_ mass: Double) -> Int64 { Int64(bitPattern: (mass + aligned).bitPattern &- aligned.bitPattern) }

    static func mass(_ units: Int64) -> Double { Double(units) * unit }
}
