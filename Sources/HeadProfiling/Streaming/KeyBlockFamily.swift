import AttentionCore
import AttentionKernels

/// Key blocks by query block: each block of 64 rows keeps its own heaviest blocks of 32 keys, ranked by the mass they hold over its rows.
///
/// First come the blocks that the rows themselves stand in, up to the diagonal, and the first block of keys, then the others by mass:
/// the most that so many whole blocks can hold beside those. The ranking needs the rows of one query block only, so it is made, and its
/// running sums with it, while their strip is there.
///
/// There is no window: a row's own blocks give it 1 to 64 keys up to itself, and what a window would add are blocks like any others,
/// which the ranking takes where they are heavy. Every step is therefore a `WindowKeyBlocks` of window 1, and its pairs follow from the
/// number of blocks alone, whichever these are.
final class KeyBlockFamily: @unchecked Sendable {
    static let blockTokens = 32
    /// Key blocks that the rows of a query block stand in.
    private static let ownBlocks = WindowKeyBlocks.queryBlockRows / blockTokens

    /// Key blocks that a query block keeps at each step; its own and the first are there from the first step on.
    let counts: [Int]
    /// Kept over causal pairs at each step.
    private let densities: [Double]
    private let shape: AttentionShape
    private let keyBlocks: Int
    /// [worker][step]: the least share of a row's mass, and the sum over rows; see `MassSum`.
    private let least: AlignedBuffer<Double>
    private let sums: AlignedBuffer<Int64>
    /// [worker][key block][lane].
    private let masses: AlignedBuffer<Float>

    init(shape: AttentionShape, workers: Int) {
        self.shape = shape
        keyBlocks = (shape.keyCount + Self.blockTokens - 1) / Self.blockTokens
        counts = LineCounts(upTo: keyBlocks).counts.filter { [keyBlocks] in $0 >= min(Self.ownBlocks + 1, keyBlocks) }
        densities = Self.pairs(shape, counts: counts).map { Double($0) / Double(shape.causalPairs) }
        least = AlignedBuffer(count: workers * counts.count)
        sums = AlignedBuffer(count: workers * counts.count)
        masses = AlignedBuffer(count: workers * keyBlocks * ProbabilityWalk.lanes)
    }

    /// Causal pairs that each number of blocks keeps. Blocks before the rows' own are whole.
    private static func pairs(_ shape: AttentionShape, counts: [Int]) -> [Int] {
        var pairs = [Int](repeating: 0, count: counts.count)
        for position in shape.firstPosition..<shape.keyCount {
            let queryBlock = position / WindowKeyBlocks.queryBlockRows
            let last = min(shape.keyCount, (queryBlock + 1) * WindowKeyBlocks.queryBlockRows) - 1
            let (before, own) = (queryBlock * ownBlocks, last / blockTokens - queryBlock * ownBlocks + 1)
            for (step, count) in counts.enumerated() {
                pairs[step] += position - before * blockTokens + 1 + min(count - own, before) * blockTokens
            }
        }
        return pairs
    }

    /// Forgets an earlier head.
    func clear() {
        least.elements.update(repeating: 1)
        sums.elements.update(repeating: 0)
    }

    /// Ranks the blocks of one query block and follows its rows as they join; `totals` [lane] are the rows' sums.
    func add(_ step: ProbabilityWalk.Step, totals: [Double]) {
        let mass = masses.base + step.worker * keyBlocks * ProbabilityWalk.lanes
        let blocks = sum(step, into: mass)
        let ranked = ranking(step, blocks: blocks, mass: mass)
        let (ownLeast, ownSums) = (least.base + step.worker * counts.count, sums.base + step.worker * counts.count)
        let factors = totals.map { 1 / $0 }
        var kept = [Double](repeating: 0, count: totals.count)
        var done = 0
        for (index, count) in counts.enumerated() {
            while done < min(count, blocks) {
                let block = mass + ranked[done] * ProbabilityWalk.lanes
                for lane in kept.indices { kept[lane] += Double(block[lane]) }
                done += 1
            }
            var sum = 0.0
            for lane in kept.indices {
                let share = kept[lane] * factors[lane]
                ownLeast[index] = .smaller(ownLeast[index], share)
                sum += share
            }
            ownSums[index] &+= MassSum.units(sum)
        }
    }

    /// Sums the rows' masses by key block; returns how many blocks the rows see.
    private func sum(_ step: ProbabilityWalk.Step, into mass: UnsafeMutablePointer<Float>) -> Int {
        let blocks = (step.block.keyEnd + Self.blockTokens - 1) / Self.blockTokens
        mass.update(repeating: 0, count: blocks * ProbabilityWalk.lanes)
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: SampledScores.keysPerTile) { groups in
            for key in groups.indices { groups[key] = UInt8(key / Self.blockTokens) }
            step.block.forEachTile { index, tile in
                step.block.addGroupMass(
                    strip: step.strip, index: index, tile: tile, lags: 0..<Int.max, groups: groups.baseAddress!,
                    into: mass + tile.lowerBound / Self.blockTokens * ProbabilityWalk.lanes)
            }
        }
        return blocks
    }

    /// The rows' own blocks, the first block, then the others by the mass of all rows: descending, ties to the lower block.
    private func ranking(_ step: ProbabilityWalk.Step, blocks: Int, mass: UnsafePointer<Float>) -> [Int] {
        let before = step.block.positions[0] / WindowKeyBlocks.queryBlockRows * Self.ownBlocks
        let own = Array(before..<blocks)
        guard before > 0 else { return own }
        let others = (1..<before).map { block in
            let rows = mass + block * ProbabilityWalk.lanes
            return (block: block, mass: (0..<ProbabilityWalk.lanes).reduce(0.0) { $0 + Double(rows[$1]) })
        }
        return own + [0] + others.sorted { $0.mass == $1.mass ? $0.block < $1.block : $0.mass > $1.mass }.map(\.block)
    }

    /// What the rows added since `clear` keep.
    func curve() -> PatternCurve {
        let workers = least.count / counts.count
        return PatternCurve(
            window: nil, lines: counts, densities: densities,
            meanMasses: counts.indices.map { step in
                let units = (0..<workers).reduce(Int64(0)) { $0 &+ sums[$1 * counts.count + step] }
                return (MassSum.mass(units) / Double(shape.queryCount)).clampedShare
            },
            leastMasses: counts.indices.map { step in (0..<workers).map { least[$0 * counts.count + step] }.least()! })
    }
}
