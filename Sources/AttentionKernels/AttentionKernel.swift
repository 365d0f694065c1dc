import AttentionCore
import CAttentionKernels

/// The shared attention kernel: softmax over the keys a plan keeps, renormalised, accumulated in FP32.
///
/// For query row i with kept keys K_i: `output_i = Σ_{j ∈ K_i} exp(s_ij − LSE_i) · value_j`, `s_ij = query_i · key_j / √d`,
/// `LSE_i = log Σ_{j ∈ K_i} exp(s_ij)`. Streaming softmax after FlashAttention (arXiv 2205.14135); dense causal attention
/// is the special case of a window as long as the keys.
public struct AttentionKernel: Sendable {
    public let instructionSet: InstructionSet
    public let pool: WorkerPool
    let functions: SAKernelTable

    /// - Throws: `InputError` (`unsupported`) when this machine lacks `instructionSet`.
    public init(instructionSet: InstructionSet = .best, pool: WorkerPool) throws(InputError) {
        self.instructionSet = instructionSet
        self.pool = pool
        functions = try instructionSet.kernels().functions
    }

    /// log2(e)/√d: scores are kept in base-2 units.
    static func scoreScale(_ dimension: Int) -> Float { Float(1.4426950408889634 / Double(dimension).squareRoot()) }

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
        workspace.prepare(for: plan, threads: pool.threads)
        gatherColumns(plan, key: key, value: value, workspace: workspace)
        let lse = SendablePointer(logSumExp)
        pool.run(plan.blocks.count) { worker, index in
            let block = plan.blocks[index]
            let run = RowBlockRun(
                kernels: functions, plan: plan, block: block, query: query, key: key, value: value, workspace: workspace,
                scratch: workspace.blockScratch(worker: worker))
            let lseRow = lse.pointer.map { $0 + block.head * shape.queryCount + block.firstRow }
            let out = output.row(head: block.head, token: block.firstRow)
            run.execute(output: out, outputStride: output.readOnly.tokenStride, logSumExp: lseRow)
        }
    }

    /// Copies each head's columns next to each other, so that the tiles read them like any other keys.
    private func gatherColumns(_ plan: AttentionPlan, key: HeadTensor, value: HeadTensor, workspace: AttentionWorkspace) {
        let dimension = plan.shape.headDimension
        let chunk = 256
        var pieces: [(head: Int, columns: Range<Int>)] = []
        for (head, pattern) in plan.patterns.enumerated() {
            guard case .windowColumns(let stripes) = pattern else { continue }
            for start in stride(from: 0, to: stripes.columns.count, by: chunk) {
                pieces.append((head, start..<min(start + chunk, stripes.columns.count)))
            }
        }
        let work = pieces
        pool.run(work.count) { _, index in
            let (head, range) = work[index]
            guard case .windowColumns(let stripes) = plan.patterns[head] else { return }
            let keyValueHead = plan.shape.keyValueHead(of: head)
            for column in range {
                let token = Int(stripes.columns[column])
                let target = (plan.columnOffsets[head] + column) * dimension
                (workspace.gatheredKeys.base + target).update(from: key.row(head: keyValueHead, token: token), count: dimension)
                (workspace.gatheredValues.base + target).update(from: value.row(head: keyValueHead, token: token), count: dimension)
            }
        }
    }
}

/// A pointer that may cross threads because every task writes its own part.
struct SendablePointer<Pointee>: @unchecked Sendable {
    let pointer: UnsafeMutablePointer<Pointee>?
    init(_ pointer: UnsafeMutablePointer<Pointee>?) { self.pointer = pointer }
}
