import AttentionCore
import AttentionKernels
import Parallelism
import SampleAttention

/// The second pass over a head's probabilities: what growing structured patterns retain of every row.
///
/// Columns and slashes are ranked before; a row's mass is summed by the step at which its key joins the pattern, and the running
/// sum over steps is the row's retained mass under each pattern of the family at once. Key blocks are ranked as their rows come.
final class StructurePass: @unchecked Sendable {
    private let walk: ProbabilityWalk
    private let shape: AttentionShape
    private let columnCounts, lineCounts: LineCounts
    private let keyBlocks: KeyBlockFamily

    init(walk: ProbabilityWalk, shape: AttentionShape) {
        self.walk = walk
        self.shape = shape
        columnCounts = LineCounts(upTo: shape.keyCount)
        lineCounts = LineCounts(upTo: 2 * BlockMask.blockCount(tokens: shape.keyCount))
        keyBlocks = KeyBlockFamily(shape: shape, workers: walk.pool.threads)
    }

    /// Follows one head.
    func run(
        head: Int, inputs: LayerInputs, masses: HeadMasses, windows: [Int], workspace: AttentionWorkspace
    ) -> StructureCurves {
        let stripes = walk.pool.map(windows.count) { StripeFamily(masses: masses, window: windows[$0], counts: columnCounts) }
        let lines = LineFamily(masses: masses, counts: lineCounts)
        let stripeSteps = columnCounts.counts.count
        let width = stripes.count * stripeSteps + lineCounts.counts.count
        let least = AlignedBuffer<Double>(count: walk.pool.threads * width)
        least.elements.update(repeating: 1)
        let target = SharedPointer(least.base)
        keyBlocks.clear()
        walk.run(head: head, inputs: inputs, workspace: workspace) { [keyBlocks] step in
            let own = target.base + step.worker * width
            let totals = step.totals
            stripes.lower(own, step: step, totals: totals, steps: stripeSteps)
            lines.lower(own + stripes.count * stripeSteps, step: step, totals: totals)
            keyBlocks.add(step, totals: totals)
        }
        let minima = (0..<width).map { index in (0..<walk.pool.threads).map { least[$0 * width + index] }.least()! }
        return StructureCurves(
            stripes: stripes.indices.map { stripes[$0].curve(least: Array(minima[$0 * stripeSteps..<($0 + 1) * stripeSteps])) },
            lines: lines.curve(least: Array(minima[(stripes.count * stripeSteps)...])), keyBlocks: keyBlocks.curve())
    }
}

extension ProbabilityWalk.Step {
    /// [lane]: a row's sum, near 1.
    var totals: [Double] {
        var totals = [Double](repeating: 0, count: block.positions.count)
        block.forEachTile { index, _ in
            let (sum, weight) = (strip.sum(tile: index), strip.shift(tile: index))
            for lane in totals.indices { totals[lane] += Double(sum[lane] * weight[lane]) }
        }
        return totals
    }

    /// Lowers `least` [step] to the smallest running share of any lane; `mass` [step][lane] is what joins at each step.
    fileprivate func lower(
        _ least: UnsafeMutablePointer<Double>, by mass: UnsafeMutablePointer<Double>, steps: Int, totals: [Double]
    ) {
        let lanes = ProbabilityWalk.lanes
        for lane in totals.indices {
            let factor = 1 / totals[lane]
            var kept = 0.0
            for step in 0..<steps {
                kept += mass[step * lanes + lane]
                least[step] = .smaller(least[step], kept * factor)
            }
        }
    }
}

/// A window, and columns ranked by their mass outside it.
private final class StripeFamily: @unchecked Sendable {
    let window: Int
    /// The step at which each key's column joins.
    let steps: AlignedBuffer<UInt8>
    /// The keys of each tile by their steps, counted from the tile's first.
    let order: AlignedBuffer<UInt8>
    private let counts: LineCounts
    private let densities, meanMasses: [Double]

    init(masses: HeadMasses, window: Int, counts: LineCounts) {
        let outside = masses.columns(outside: window)
        // Descending, ties to the lower position.
        let ranked = zip(outside, outside.indices).sorted { $0.0 == $1.0 ? $0.1 < $1.1 : $0.0 > $1.0 }.map(\.1)
        let shape = masses.shape
        self.window = window
        self.counts = counts
        steps = AlignedBuffer(count: ranked.count)
        order = AlignedBuffer(count: ranked.count)
        _ = steps.elements.update(from: counts.steps(ofRanked: ranked))
        let tile = SampledScores.keysPerTile
        var ordered = [Int](repeating: 0, count: (ranked.count + tile - 1) / tile)
        for key in ranked {
            order.base[key / tile * tile + ordered[key / tile]] = UInt8(key % tile)
            ordered[key / tile] += 1
        }
        var pairs = SparsePattern.windowColumns(WindowColumns(window: window, columns: [])).keptPairs(shape)
        var mass = masses.windowMass(window) * Double(shape.queryCount)
        var done = 0
        var kept: [(pairs: Int, mass: Double)] = []
        for count in counts.counts {
            for key in ranked[done..<count] {
                pairs += max(0, shape.keyCount - max(key + window, shape.firstPosition))
                mass += outside[key]
            }
            done = count
            kept.append((pairs, mass))
        }
        densities = kept.map { Double($0.pairs) / Double(shape.causalPairs) }
        meanMasses = kept.map { ($0.mass / Double(shape.queryCount)).clampedShare }
    }

    func curve(least: [Double]) -> PatternCurve {
        PatternCurve(window: window, lines: counts.counts, densities: densities, meanMasses: meanMasses, leastMasses: least)
    }
}

extension [StripeFamily] {
    /// All windows in one pass over the strip, tile by tile. `least` is [family][step].
    fileprivate func lower(_ least: UnsafeMutablePointer<Double>, step: ProbabilityWalk.Step, totals: [Double], steps: Int) {
        let width = steps * ProbabilityWalk.lanes
        // Floats hold the sums of some tiles, each of which adds one number a step; doubles those of the row.
        let tilesAFlush = 64
        withUnsafeTemporaryAllocation(of: Float.self, capacity: Swift.max(1, count * width)) { parts in
            withUnsafeTemporaryAllocation(of: Double.self, capacity: Swift.max(1, count * width)) { sums in
                parts.update(repeating: 0)
                sums.update(repeating: 0)
                func flush() {
                    for index in 0..<count * width { sums[index] += Double(parts[index]) }
                    parts.update(repeating: 0)
                }
                step.block.forEachTile { index, tile in
                    for (position, family) in enumerated() {
                        let own = parts.baseAddress! + position * width
                        // The window is there from step 0 on.
                        step.block.addRowMass(strip: step.strip, index: index, tile: tile, lags: 0..<family.window, into: own)
                        // The order of a whole tile names keys that a tile cut at the diagonal does not have.
                        let isWhole = tile.upperBound == Swift.min((index + 1) * SampledScores.keysPerTile, family.order.count)
                        step.block.addGroupMass(
                            strip: step.strip, index: index, tile: tile, lags: family.window..<Int.max,
                            groups: family.steps.base + tile.lowerBound,
                            order: isWhole ? UnsafePointer(family.order.base + tile.lowerBound) : nil, into: own)
                    }
                    if index % tilesAFlush == tilesAFlush - 1 { flush() }
                }
                flush()
                for position in indices {
                    step.lower(least + position * steps, by: sums.baseAddress! + position * width, steps: steps, totals: totals)
                }
            }
        }
    }
}

/// Columns and slashes of 128-token blocks, ranked together by mass a causal pair; slash 0 comes first.
private struct LineFamily: Sendable {
    private let counts: LineCounts
    private let columnSteps, slashSteps: [UInt8]
    private let densities, meanMasses: [Double]

    init(masses: HeadMasses, counts: LineCounts) {
        self.counts = counts
        let shape = masses.shape
        let blocks = BlockMask.blockCount(tokens: shape.keyCount)
        let pairs = Self.pairs(shape)
        var linePairs = [Int](repeating: 0, count: 2 * blocks)
        for query in 0..<blocks {
            for key in 0...query {
                linePairs[key] += pairs[query * blocks + key]
                linePairs[blocks + query - key] += pairs[query * blocks + key]
            }
        }
        let weights = zip(masses.blockColumns + masses.blockSlashes, linePairs).map { $1 == 0 ? 0 : $0 / Double($1) }
        let ranked = weights.indices.sorted { first, second in
            (first != blocks ? 1 : 0, -weights[first], first) < (second != blocks ? 1 : 0, -weights[second], second)
        }
        let steps = counts.steps(ofRanked: ranked)
        columnSteps = Array(steps[..<blocks])
        slashSteps = Array(steps[blocks...])
        var kept = [(pairs: Int, mass: Double)](repeating: (0, 0), count: counts.counts.count)
        for query in 0..<blocks {
            for key in 0...query {
                let step = Int(min(columnSteps[key], slashSteps[query - key]))
                kept[step].pairs += pairs[query * blocks + key]
                kept[step].mass += masses.blocks[query * blocks + key]
            }
        }
        for step in kept.indices.dropFirst() {
            kept[step].pairs += kept[step - 1].pairs
            kept[step].mass += kept[step - 1].mass
        }
        densities = kept.map { Double($0.pairs) / Double(shape.causalPairs) }
        meanMasses = kept.map { ($0.mass / Double(shape.queryCount)).clampedShare }
    }

    /// Causal pairs of each pair of blocks [query block][key block].
    private static func pairs(_ shape: AttentionShape) -> [Int] {
        let size = BlockMask.blockSize
        let blocks = BlockMask.blockCount(tokens: shape.keyCount)
        var pairs = [Int](repeating: 0, count: blocks * blocks)
        for position in shape.firstPosition..<shape.keyCount {
            let query = position / size
            for key in 0..<query { pairs[query * blocks + key] += size }
            pairs[query * blocks + query] += position % size + 1
        }
        return pairs
    }

    func curve(least: [Double]) -> PatternCurve {
        // The step without any line keeps a row's own position at most: it is no pattern.
        PatternCurve(
            window: nil, lines: Array(counts.counts.dropFirst()), densities: Array(densities.dropFirst()),
            meanMasses: Array(meanMasses.dropFirst()), leastMasses: Array(least.dropFirst()))
    }

    func lower(_ least: UnsafeMutablePointer<Double>, step: ProbabilityWalk.Step, totals: [Double]) {
        let lanes = ProbabilityWalk.lanes
        withUnsafeTemporaryAllocation(of: Double.self, capacity: counts.counts.count * lanes) { mass in
            mass.update(repeating: 0)
            step.block.forEachTile { index, _ in
                // All rows of the block lie in one query block, and those before a tile gave it nothing.
                let join = Int(Swift.min(columnSteps[index], slashSteps[step.queryBlock - index])) * lanes
                let (sum, weight) = (step.strip.sum(tile: index), step.strip.shift(tile: index))
                for lane in totals.indices { mass[join + lane] += Double(sum[lane] * weight[lane]) }
            }
            step.lower(least, by: mass.baseAddress!, steps: counts.counts.count, totals: totals)
        }
    }
}
