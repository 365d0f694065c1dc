import AttentionCore

/// Dense and masked attention of one head in double precision, streamed in blocks of rows.
///
///     o_i = Σ_j P_ij V_j      õ_i = Σ_{j kept} P_ij V_j      ô_i = õ_i / r_i      r_i = Σ_{j kept} P_ij
///
/// A head's sink is one more key, which every mask keeps and whose value is zero; caps are applied to the scores.
/// The softmax over the kept keys is taken relative to *their* largest score, so ô stays exact where the kept mass is
/// far below the smallest Double. The scores as computed define P; everything after them is covered by
/// `RoundingAllowance`. A row that keeps nothing keeps its own position.
///
/// Complexity: O(queryCount · keyCount · (d + 3·dv)) time, O(blockRows · keyCount) memory; one thread, the caller's.
public struct ExactAttention: Sendable {
    public let head: AttentionHead
    /// Rows computed at a time; changes memory and speed, and the result by rounding only.
    public let blockRows: Int
    /// Computed with each row when a kernel is to be judged.
    private let kernelAllowance: KernelAllowance?

    /// - Parameter kernelAllowance: how a kernel may deviate on the same head; rows then say by how much.
    public init(_ head: AttentionHead, blockRows: Int = 64, kernelAllowance: KernelAllowance? = nil) {
        precondition(blockRows >= 1, "a block has at least one row")
        self.head = head
        self.blockRows = min(blockRows, head.queryCount)
        self.kernelAllowance = kernelAllowance
    }

    /// Calls `body` with each query row in order.
    public func forEachRow<Failure: Error>(
        keeping mask: some AttentionMask, _ body: (AttentionRow) throws(Failure) -> Void
    ) throws(Failure) {
        let block = AttentionBlock(head: head, capacity: blockRows, judgesKernel: kernelAllowance != nil)
        for first in stride(from: 0, to: head.queryCount, by: blockRows) {
            let rows = first..<min(first + blockRows, head.queryCount)
            block.scores(rows, of: head)
            if let kernelAllowance { block.scoreMagnitudes(rows, of: head, kernelAllowance) }
            let masses = rows.map { block.split(row: $0, firstRow: first, of: head, keeping: mask) }
            block.outputs(rows, of: head)
            for (row, mass) in zip(rows, masses) {
                try body(block.attentionRow(row, at: row - first, mass: mass, of: head, kernelAllowance))
            }
        }
    }

    /// Every row's errors and masses, without the outputs.
    public func rowErrors(keeping mask: some AttentionMask) -> [RowErrors] {
        var rows: [RowErrors] = []
        rows.reserveCapacity(head.queryCount)
        forEachRow(keeping: mask) { rows.append($0.errors) }
        return rows
    }

    /// Calls `body` with each row's dense probabilities P_i, [firstPosition + i + 1], valid during the call only.
    public func forEachProbabilityRow(_ body: (_ row: Int, _ probabilities: UnsafeBufferPointer<Double>) -> Void) {
        let block = AttentionBlock(head: head, capacity: blockRows)
        for first in stride(from: 0, to: head.queryCount, by: blockRows) {
            let rows = first..<min(first + blockRows, head.queryCount)
            block.scores(rows, of: head)
            for row in rows { body(row, block.probabilities(at: row - first, count: head.firstPosition + row + 1, of: head)) }
        }
    }
}
