import AttentionCore
import AttentionKernels

extension HeadWork {
    /// The kernel's part: all row blocks of a head, and the columns gathered for them. Keys of chosen blocks are gathered as columns are,
    /// and count as these.
    mutating func addKernel(_ parts: PatternParts, shape: AttentionShape) {
        let work = KernelWork(parts, shape: shape)
        self[.laneBlocks] += Double(work.laneBlocks)
        self[.loadedKeys] += Double(work.loadedKeys)
        self[.tiles] += Double(work.tiles)
        self[.maskedTiles] += Double(work.maskedTiles)
        self[.densePairs] += Double(work.densePairs)
        self[.windowPairs] += Double(work.windowPairs)
        self[.columnPairs] += Double(work.columnPairs + work.chosenPairs)
        self[.blockPairs] += Double(work.keyBlockPairs)
        self[.gatheredColumns] += Double(work.gatheredColumns + work.gatheredKeys)
    }
}
