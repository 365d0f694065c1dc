import AttentionCore
import CAttentionKernels
import Parallelism

extension AttentionKernel {
    /// Gradients of a scalar with respect to the queries, keys and values of an attention in which every row sees the keys up to itself, or
    /// the last `window` of them.
    ///
    /// The backward pass of FlashAttention-2 (arXiv 2307.08691, section 3.1) in five products, which makes probabilities again from scores.
    /// With z_ij = q_i · k_j / √d, s_ij = z_ij or c · tanh(z_ij / c), L_i = log(Σ_j exp(s_ij) + exp(sink)), P_ij = exp(s_ij − L_i) and
    /// D_i = dO_i · O_i: dV_j = Σ_i P_ij dO_i; dS_ij = P_ij (dO_i · v_j − D_i), times 1 − (s_ij / c)² where scores are capped;
    /// dQ_i = Σ_j dS_ij k_j / √d; dK_j = Σ_i dS_ij q_i / √d. Keys and values take the sum over the query heads of their group.
    /// Products are in the kernel's precision, sums in FP32. The result does not depend on the number of threads.
    ///
    /// Shapes: query, output, outputGradient and the query's gradient [queryHeads][queryCount][d]; key, value and their gradients
    /// [keyValueHeads][keyCount][d]. Memory, in floats, of one key-value head: up to 3 · keyCount · d for its keys and values and, for each
    /// piece of rows of its query heads (about 16 together), 2 · d for each key that the piece sees; of as many key-value heads at a time
    /// as fit in `heldBytes`, and of one where none does.
    ///
    /// - Parameters:
    ///   - window: keys that a row sees, itself included; nil for all.
    ///   - output: what `run` gave for the same inputs.
    ///   - logSumExp: [queryHeads][queryCount], natural logarithms over the real keys alone, as `run` gives them.
    ///   - outputGradient: the scalar's gradient with respect to `output`.
    ///   - gradients: overwritten.
    ///   - heldBytes: memory for several key-value heads at a time, which keep more threads busy; changes no result.
    ///   - workspace: grows as needed and keeps its memory: one for many calls spares the system clearing it for each.
    /// - Throws: `InputError` (`systemFailure`) when the system does not give the memory; nothing is written then.
    package func attentionGradient(
        _ shape: AttentionShape, window: Int?, query: HeadTensor, key: HeadTensor, value: HeadTensor,
        output: HeadTensor, logSumExp: UnsafePointer<Float>, outputGradient: HeadTensor,
        into gradients: (query: MutableHeadTensor, key: MutableHeadTensor, value: MutableHeadTensor), heldBytes: Int = 256 << 20,
        workspace: AttentionWorkspace = AttentionWorkspace()
    ) throws(InputError) {
        let tensors = GradientTensors(
            shape: shape, window: min(window ?? shape.keyCount, shape.keyCount), query: query, key: key, value: value, output: output,
            logSumExp: SharedPointer(UnsafeMutablePointer(mutating: logSumExp)), outputGradient: outputGradient,
            queryGradient: gradients.query, keyGradient: gradients.key, valueGradient: gradients.value)
        tensors.check()
        try workspace.exclusively { () throws(InputError) in
            let pass = try GradientPass(kernel: self, tensors: tensors, heldBytes: heldBytes, workspace: workspace)
            pass.run()
        }
    }
}

/// What a backward pass reads and writes.
struct GradientTensors: Sendable {
    let shape: AttentionShape
    /// Keys that a row sees at most.
    let window: Int
    let query, key, value, output: HeadTensor
    /// [queryHeads][queryCount]; only read.
    let logSumExp: SharedPointer<Float>
    let outputGradient: HeadTensor
    let queryGradient, keyGradient, valueGradient: MutableHeadTensor

    /// Where the keys of some rows may begin, counted in keys: at a whole step of every product over keys, in tile registers too.
    private static let keyAlignment = KernelTable.mostValueKeys

    func check() {
        precondition(window >= 1, "a row sees itself")
        precondition(
            [query, output, outputGradient, queryGradient.readOnly].allSatisfy {
                $0.heads == shape.queryHeads && $0.tokens == shape.queryCount && $0.dimension == shape.headDimension
            }, "queries, outputs and their gradients must match the shape")
        precondition(
            [key, value, keyGradient.readOnly, valueGradient.readOnly].allSatisfy {
                $0.heads == shape.keyValueHeads && $0.tokens == shape.keyCount && $0.dimension == shape.headDimension
            }, "keys, values and their gradients must match the shape")
    }

    /// The positions of some query rows.
    func positions(_ rows: Range<Int>) -> Range<Int> { shape.firstPosition + rows.lowerBound..<shape.firstPosition + rows.upperBound }

    /// The keys that any row of some positions sees, and a few before them.
    func keys(seenFrom positions: Range<Int>) -> Range<Int> {
        max(0, positions.lowerBound - window + 1) / Self.keyAlignment * Self.keyAlignment..<positions.upperBound
    }
}

/// Consecutive query rows of a head that one thread works on, and the keys that any of them sees.
struct GradientPiece: Sendable {
    let rows: Range<Int>
    let keys: Range<Int>
    /// Pairs of rows and keys, the unit of the balance.
    let cost: Int
    /// Keys of the pieces before it.
    let offset: Int

    /// Fewer rows would do too little for what their sums over keys cost to clear and to add up.
    private static let fewestRows = 512
    /// Pieces of a key-value head's query heads together: enough for many threads to end at about the same time.
    private static let mostPieces = 16

    /// Cuts the rows of a head where blocks of rows end, into pieces of about equal cost. Depends on nothing but shape and window, so that
    /// sums over the pieces are the same on every number of threads.
    static func pieces(of tensors: GradientTensors) -> [GradientPiece] {
        let shape = tensors.shape
        let count = max(1, min(mostPieces / shape.groupSize, shape.queryCount / fewestRows))
        let blocks = GradientBlock.blocks(of: 0..<shape.queryCount)
        let costs = blocks.map { $0.count * tensors.keys(seenFrom: tensors.positions($0)).count }
        let share = (costs.reduce(0, +) + count - 1) / count
        var pieces: [GradientPiece] = []
        var (start, cost, offset) = (0, 0, 0)
        for (block, own) in zip(blocks, costs) {
            cost += own
            let end = block.upperBound
            let isWhole = cost >= share && end - start >= fewestRows && shape.queryCount - end >= fewestRows
            guard isWhole || end == shape.queryCount else { continue }
            let keys = tensors.keys(seenFrom: tensors.positions(start..<end))
            pieces.append(GradientPiece(rows: start..<end, keys: keys, cost: cost, offset: offset))
            (start, cost, offset) = (end, 0, offset + keys.count)
        }
        return pieces
    }
}

/// One backward pass: some key-value heads at a time, their keys packed, pieces of rows worked on, and what these gave added up.
struct GradientPass: Sendable {
    let kernel: AttentionKernel
    let tensors: GradientTensors
    /// Of every query head.
    private let pieces: [GradientPiece]
    private let memory: GradientMemory

    init(kernel: AttentionKernel, tensors: GradientTensors, heldBytes: Int, workspace: AttentionWorkspace) throws(InputError) {
        self.kernel = kernel
        self.tensors = tensors
        pieces = GradientPiece.pieces(of: tensors)
        memory = try GradientMemory(
            tensors.shape, sumKeys: pieces.reduce(0) { $0 + $1.keys.count }, heldBytes: heldBytes, kernel: kernel, workspace: workspace)
    }

    private var shape: AttentionShape { tensors.shape }

    func run() {
        for first in stride(from: 0, to: shape.keyValueHeads, by: memory.heads) {
            let heads = first..<min(first + memory.heads, shape.keyValueHeads)
            pack(heads)
            runPieces(heads)
            addUp(heads)
        }
    }

    private func pack(_ heads: Range<Int>) {
        let parts = GradientKeys.tiles(of: shape)
        kernel.pool.run(heads.count * parts) { worker, index in
            let slot = index / parts
            memory.keys(slot: slot).pack(
                tile: index % parts, head: heads.lowerBound + slot, tensors, kernel: kernel, scratch: memory.scratch(worker: worker))
        }
    }

    /// Long pieces first. Gradients of queries are finished, those of keys and values are left in the sums.
    private func runPieces(_ heads: Range<Int>) {
        let order = pieces.indices.sorted { (pieces[$1].cost, $0) < (pieces[$0].cost, $1) }
        let queryHeads = heads.count * shape.groupSize
        kernel.pool.run(pieces.count * queryHeads) { worker, index in
            let piece = pieces[order[index / queryHeads]]
            let (slot, queryHead) = (index % queryHeads).quotientAndRemainder(dividingBy: shape.groupSize)
            let sums = memory.sums(slot: slot, queryHead: queryHead, piece)
            sums.clear()
            for rows in GradientBlock.blocks(of: piece.rows) {
                let block = GradientBlock(
                    kernel: kernel, tensors: tensors, head: (heads.lowerBound + slot) * shape.groupSize + queryHead, rows: rows,
                    keys: memory.keys(slot: slot), scratch: memory.scratch(worker: worker), sums: sums)
                block.run()
            }
        }
    }

    /// Adds what the pieces left, in the order of query heads and pieces.
    private func addUp(_ heads: Range<Int>) {
        let (parts, d) = (GradientKeys.tiles(of: shape), shape.headDimension)
        let scale = Float(1 / Double(d).squareRoot())
        kernel.pool.run(heads.count * parts) { _, index in
            let slot = index / parts, first = index % parts * KernelTable.tileKeys
            for key in first..<min(first + KernelTable.tileKeys, shape.keyCount) {
                let keyRow = tensors.keyGradient.row(head: heads.lowerBound + slot, token: key)
                let valueRow = tensors.valueGradient.row(head: heads.lowerBound + slot, token: key)
                keyRow.update(repeating: 0, count: d)
                valueRow.update(repeating: 0, count: d)
                for queryHead in 0..<shape.groupSize {
                    for piece in pieces where piece.keys.contains(key) {
                        let sums = memory.sums(slot: slot, queryHead: queryHead, piece)
                        let offset = (key - sums.firstKey) * d
                        for t in 0..<d {
                            keyRow[t] += sums.key[offset + t]
                            valueRow[t] += sums.value[offset + t]
                        }
                    }
                }
                for t in 0..<d { keyRow[t] *= scale }
            }
        }
    }
}
