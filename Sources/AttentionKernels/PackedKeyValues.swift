import AttentionCore
import CAttentionKernels
import Parallelism

/// Where keys, and values, that several blocks of rows see stand packed, once for all of them.
struct PackedKeyValues {
    /// Keys whose values stand together.
    private let group: Int
    private let keyCount: Int
    /// Of each key-value head the first key that is packed, a multiple of `group`; nil where none is.
    private let firstKeys: [Int?]
    /// Where each head's begin, counted in keys.
    private let offsets: [Int]
    /// Keys of all heads, each head's filled up to a group.
    let count: Int

    /// What the windows, key blocks and dense rows of a plan see; nil when no head has several row blocks.
    init?(_ plan: AttentionPlan, group: Int) {
        let shape = plan.shape
        var firstKeys = [Int?](repeating: nil, count: shape.keyValueHeads)
        var blocks = [Int](repeating: 0, count: shape.keyValueHeads)
        for block in plan.blocks where !block.isDoneByRows {
            let (head, parts) = (shape.keyValueHead(of: block.head), plan.parts[block.head])
            let seesAll = block.isDense || parts.hasBlocks || parts.hasChosenBlocks
            let first = seesAll ? 0 : max(0, shape.firstPosition + block.firstRow - parts.window + 1) / group * group
            firstKeys[head] = min(firstKeys[head] ?? first, first)
            blocks[head] += 1
        }
        self.init(firstKeys: zip(firstKeys, blocks).map { $1 > 1 ? $0 : nil }, keyCount: shape.keyCount, group: group)
    }

    /// All keys of the heads of which several blocks of rows are sampled; nil when there are none.
    init?(sampledRows: [(head: Int, rows: Int)], shape: AttentionShape) {
        var blocks = [Int](repeating: 0, count: shape.keyValueHeads)
        for (head, rows) in sampledRows { blocks[shape.keyValueHead(of: head)] += (rows + KernelTable.lanes - 1) / KernelTable.lanes }
        self.init(firstKeys: blocks.map { $0 > 1 ? 0 : nil }, keyCount: shape.keyCount, group: 1)
    }

    private init?(firstKeys: [Int?], keyCount: Int, group: Int) {
        self.group = group
        self.keyCount = keyCount
        self.firstKeys = firstKeys
        var offsets: [Int] = []
        var count = 0
        for first in firstKeys {
            offsets.append(count)
            if let first { count += (keyCount - first + group - 1) / group * group }
        }
        (self.offsets, self.count) = (offsets, count)
        if count == 0 { return nil }
    }

    /// Packs into the workspace, which has room.
    func fill(_ workspace: AttentionWorkspace, key: HeadTensor, value: HeadTensor?, kernels: SATileKernelTable, pool: WorkerPool) {
        let dimension = key.dimension
        let pieces = pieces
        pool.run(pieces.count) { _, index in
            let (head, range) = pieces[index]
            guard let offset = offset(of: range.lowerBound, keyValueHead: head) else { preconditionFailure("pieces begin at groups") }
            kernels.pack_keys(
                key.row(head: head, token: range.lowerBound), key.tokenStride, nil, Int32(range.count), Int32(dimension),
                workspace.packedKeys.base + offset * kernels.steps(dimension))
            guard let value else { return }
            kernels.pack_values(
                value.row(head: head, token: range.lowerBound), value.tokenStride, nil, Int32(range.count), Int32(dimension),
                workspace.packedValues.base + kernels.steps(offset) * dimension)
        }
    }

    /// Where a key stands; nil when it is not packed or does not begin a group.
    func offset(of key: Int, keyValueHead: Int) -> Int? {
        guard let first = firstKeys[keyValueHead], key >= first, key % group == 0 else { return nil }
        return offsets[keyValueHead] + key - first
    }

    /// All of it in pieces for threads.
    private var pieces: [(keyValueHead: Int, keys: Range<Int>)] {
        firstKeys.enumerated().flatMap { head, first in
            stride(from: first ?? keyCount, to: keyCount, by: 512).map { (head, $0..<min($0 + 512, keyCount)) }
        }
    }
}
