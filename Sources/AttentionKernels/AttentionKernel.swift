import AttentionCore
import CAttentionKernels
import Parallelism

/// The shared attention kernel: softmax over the keys a plan keeps, renormalised, accumulated in FP32.
///
/// For query row i with kept keys K_i: `output_i = Σ_{j ∈ K_i} exp(s_ij − LSE_i) · value_j`, `s_ij = query_i · key_j / √d`,
/// `LSE_i = log Σ_{j ∈ K_i} exp(s_ij)`. Streaming softmax after FlashAttention (arXiv 2205.14135); dense causal attention
/// is the special case of a window as long as the keys.
public struct AttentionKernel: Sendable {
    public let instructionSet: InstructionSet
    /// The format queries, keys, values and probabilities are multiplied in. Blocks of fewer than five rows are FP32 always.
    public let precision: Precision
    public let pool: WorkerPool
    let table: KernelTable

    var functions: SAKernelTable { table.functions }
    /// The tile kernels of `precision`.
    let tiles: SATileKernelTable

    /// - Throws: `InputError` (`unsupported`) when this machine lacks `instructionSet`.
    public init(instructionSet: InstructionSet = .best, precision: Precision = .fp32, pool: WorkerPool) throws(InputError) {
        self.init(instructionSet: instructionSet, kernels: try instructionSet.kernels(), precision: precision, pool: pool)
    }

    /// Any table of microkernels, which is said to be of an instruction set.
    package init(instructionSet: InstructionSet, kernels: KernelTable, precision: Precision, pool: WorkerPool) {
        self.instructionSet = instructionSet
        self.precision = precision
        self.pool = pool
        table = kernels
        tiles = table.tiles(precision)
    }

    /// Outputs of this size or more have left the caches before anybody reads them, so they are written past them.
    private static let streamedBytes = 32 << 20

    /// log2(e)/√d: scores are kept in base-2 units.
    static func scoreScale(_ dimension: Int) -> Float { Float(1.4426950408889634 / Double(dimension).squareRoot()) }

    /// The cap of scores in the same units; 0 where they have none.
    static func scoreCap(_ rule: ScoreRule) -> Float { Float(1.4426950408889634 * (rule.softCap ?? 0)) }

    /// A head's sink logit in the same units; nil where there is none.
    static func sink(_ rule: ScoreRule, head: Int) -> Float? { rule.sinks.map { 1.442695 * $0[head] } }

    /// Runs a plan. Allocates only if the workspace is too small.
    ///
    /// Shapes: query and output [queryHeads][queryCount][d]; key and value [keyValueHeads][keyCount][d];
    /// `logSumExp` [queryHeads][queryCount], natural logarithm, optional.
    public func run(
        _ plan: AttentionPlan, query: HeadTensor, key: HeadTensor, value: HeadTensor, output: MutableHeadTensor,
        logSumExp: UnsafeMutablePointer<Float>? = nil, workspace: AttentionWorkspace
    ) {
        let shape = plan.shape
        precondition(query.heads == shape.queryHeads && query.tokens == shape.queryCount, "query must match the plan's shape")
        precondition(key.heads == shape.keyValueHeads && key.tokens == shape.keyCount, "key must match the plan's shape")
        precondition(value.heads == shape.keyValueHeads && value.tokens == shape.keyCount, "value must match the plan's shape")
        precondition(
            output.readOnly.heads == shape.queryHeads && output.readOnly.tokens == shape.queryCount, "output must match the plan's shape")
        precondition(
            [query, key, value, output.readOnly].allSatisfy { $0.dimension == shape.headDimension },
            "every tensor must have the plan's head dimension")
        workspace.exclusively {
            workspace.prepare(for: plan, kernels: tiles, threads: pool.threads)
            gatherColumns(plan, key: key, value: value, workspace: workspace)
            let packed = packKeyValues(plan, key: key, value: value, workspace: workspace)
            runBlocks(
                plan, query: query, key: key, value: value, output: output, logSumExp: logSumExp, packed: packed, workspace: workspace)
        }
    }

    private func runBlocks(
        _ plan: AttentionPlan, query: HeadTensor, key: HeadTensor, value: HeadTensor, output: MutableHeadTensor,
        logSumExp: UnsafeMutablePointer<Float>?, packed: PackedKeyValues?, workspace: AttentionWorkspace
    ) {
        let lse = logSumExp.map { SharedPointer($0) }
        let outputs = plan.shape.queryCount * plan.shape.queryHeads * plan.shape.headDimension
        let streams = outputs * MemoryLayout<Float>.stride >= Self.streamedBytes
        pool.run(plan.blocks.count) { worker, index in
            let block = plan.blocks[index]
            let next = plan.blocks[min(index + pool.threads, plan.blocks.count - 1)]
            let run = RowBlockRun(
                kernel: self, plan: plan, block: block, query: query, key: key, value: value, workspace: workspace,
                scratch: workspace.blockScratch(worker: worker), packed: packed, nextBlock: next, streamsOutput: streams)
            let lseRow = lse.map { $0.base + block.head * plan.shape.queryCount + block.firstRow }
            let out = output.row(head: block.head, token: block.firstRow)
            run.execute(output: out, outputStride: output.readOnly.tokenStride, logSumExp: lseRow)
        }
    }

    /// Copies columns next to each other in the form the tiles want: once for all heads that share a list of them.
    private func gatherColumns(_ plan: AttentionPlan, key: HeadTensor, value: HeadTensor, workspace: AttentionWorkspace) {
        let dimension = plan.shape.headDimension
        pool.run(plan.gathers.count) { _, index in
            let gather = plan.gathers[index]
            let offset = plan.columnOffsets[gather.head] + gather.columns.lowerBound
            let own = plan.shape.keyValueHead(of: gather.head)
            plan.parts[gather.head].columns.withUnsafeBufferPointer { columns in
                let first = columns.baseAddress! + gather.columns.lowerBound
                let count = Int32(gather.columns.count)
                tiles.pack_keys(
                    key.row(head: own, token: 0), key.tokenStride, first, count, Int32(dimension),
                    workspace.gatheredKeys.base + offset * tiles.steps(dimension))
                tiles.pack_values(
                    value.row(head: own, token: 0), value.tokenStride, first, count, Int32(dimension),
                    workspace.gatheredValues.base + tiles.steps(offset) * dimension)
            }
        }
    }

    /// Copies the keys and values that windows, key blocks and dense rows see in the form the tiles want, where several row blocks would
    /// each do so: once for all heads that share them.
    private func packKeyValues(_ plan: AttentionPlan, key: HeadTensor, value: HeadTensor, workspace: AttentionWorkspace) -> PackedKeyValues?
    {
        guard precision != .fp32, let packed = PackedKeyValues(plan, group: tiles.valueKeys) else { return nil }
        workspace.prepare(packed, kernels: tiles, dimension: plan.shape.headDimension, hasValues: true)
        packed.fill(workspace, key: key, value: value, kernels: tiles, pool: pool)
        return packed
    }
}
