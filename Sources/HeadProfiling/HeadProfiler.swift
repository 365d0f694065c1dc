import AttentionCore
import AttentionKernels
import SampleAttention

/// What one head's attention looks like on one prompt.
public struct HeadProfile: Sendable, Codable {
    public let layer, head: Int
    /// SD(α), in the order of the α asked for.
    public let sparsityDegrees: [Double]
    /// The mass the given pattern keeps.
    public let retained: RetainedMass
    /// Kept over causal pairs of that pattern.
    public let density: Double
    /// The pattern's window in positions (the key count when dense) and its number of columns; blocks count in neither.
    public let window, columns: Int
}

/// Measures every head of a layer exactly: all query rows, no sampling.
///
/// Memory: two blocks of 64 rows × keys a worker. Time: about one dense attention for the probabilities, and as much
/// again for the counting.
public struct HeadProfiler: Sendable {
    private let scores: SampledScores
    private let pool: WorkerPool

    public init(kernel: AttentionKernel) {
        scores = SampledScores(kernel: kernel)
        pool = kernel.pool
    }

    /// - Parameters:
    ///   - patterns: one a query head, whose retained mass is measured.
    ///   - alphas: the α of SD(α).
    public func profile(
        layer: Int, inputs: SampleAttentionOperator.Inputs, patterns: [SparsePattern], alphas: [Fraction], workspace: AttentionWorkspace
    ) -> [HeadProfile] {
        let shape = inputs.shape
        precondition(patterns.count == shape.queryHeads, "one pattern a query head")
        let measured = measure(inputs, patterns: patterns, alphas: alphas.map(\.value), workspace: workspace)
        return patterns.indices.map { head in
            let keys = measured.keys[head]
            let parts = patterns[head].parts
            return HeadProfile(
                layer: layer, head: head, sparsityDegrees: keys.map { 1 - Double($0) / Double(shape.causalPairs) },
                retained: RetainedMass(rows: measured.masses[head]), density: patterns[head].density(shape),
                window: parts.isDense ? shape.keyCount : parts.window, columns: parts.columns.count)
        }
    }

    /// Per head: r_i of every row, and Σ_i k_i for each α.
    private func measure(
        _ inputs: SampleAttentionOperator.Inputs, patterns: [SparsePattern], alphas: [Double], workspace: AttentionWorkspace
    ) -> (masses: [[Double]], keys: [[Int]]) {
        let shape = inputs.shape
        let lanes = SampledScores.lanesPerBlock
        let blocks = (shape.queryCount + lanes - 1) / lanes
        let tasks = blocks * shape.queryHeads
        scores.prepare(workspace, dimension: shape.headDimension, keys: shape.keyCount)
        let probabilities = AlignedBuffer<Float>(count: pool.threads * lanes * shape.keyCount)
        let rowBuffers = AlignedBuffer<Float>(count: pool.threads * lanes * shape.keyCount)
        let masses = AlignedBuffer<Double>(count: shape.queryHeads * shape.queryCount)
        let keys = AlignedBuffer<Int>(count: tasks * alphas.count)
        let parts = patterns.map(\.parts)
        let work = Work(
            shape: shape, inputs: inputs, patterns: parts, alphas: alphas, probabilities: probabilities.base, rows: rowBuffers.base,
            masses: masses.base, keys: keys.base, columnSets: parts.map { Self.columnFlags($0.columns, keyCount: shape.keyCount) })
        pool.run(tasks) { worker, index in
            // The last blocks see the most keys: longest first.
            let head = index % shape.queryHeads
            let block = blocks - 1 - index / shape.queryHeads
            work.run(head: head, block: block, task: block * shape.queryHeads + head, worker: worker, scores: scores, workspace: workspace)
        }
        return (
            (0..<shape.queryHeads).map { Array(masses.elements[$0 * shape.queryCount..<($0 + 1) * shape.queryCount]) },
            (0..<shape.queryHeads).map { head in
                alphas.indices.map { alpha in
                    (0..<blocks).reduce(0) { $0 + keys[($1 * shape.queryHeads + head) * alphas.count + alpha] }
                }
            }
        )
    }

    private static func columnFlags(_ columns: [Int32], keyCount: Int) -> [Bool] {
        var flags = [Bool](repeating: false, count: keyCount)
        for column in columns { flags[Int(column)] = true }
        return flags
    }
}

/// Everything the tasks of one layer share; each task writes its own rows and counts.
private struct Work: @unchecked Sendable {
    let shape: AttentionShape
    let inputs: SampleAttentionOperator.Inputs
    let patterns: [PatternParts]
    let alphas: [Double]
    let probabilities, rows: UnsafeMutablePointer<Float>
    let masses: UnsafeMutablePointer<Double>
    let keys: UnsafeMutablePointer<Int>
    let columnSets: [[Bool]]

    func run(head: Int, block: Int, task: Int, worker: Int, scores: SampledScores, workspace: AttentionWorkspace) {
        let lanes = SampledScores.lanesPerBlock
        let first = block * lanes
        let count = min(lanes, shape.queryCount - first)
        let end = shape.firstPosition + first + count
        let block = probabilities + worker * lanes * shape.keyCount
        let transposed = rows + worker * lanes * shape.keyCount
        scores.probabilities(
            query: inputs.query.head(head), key: inputs.key.head(shape.keyValueHead(of: head)), rows: Array(first..<first + count)[...],
            into: block, worker: worker, workspace: workspace)
        Self.transpose(block, keys: end, lanes: lanes, into: transposed, stride: shape.keyCount)
        var counter = SparsityCounter()
        for lane in 0..<count {
            let position = shape.firstPosition + first + lane
            let row = UnsafeBufferPointer(start: transposed + lane * shape.keyCount, count: position + 1)
            masses[head * shape.queryCount + first + lane] = retained(row, position: position, head: head)
            for (index, kept) in counter.fewestKeys(row, alphas: alphas).enumerated() { keys[task * alphas.count + index] += kept }
        }
    }

    /// Kept over all mass of a row: the division removes the FP32 rounding of the row's normalisation.
    private func retained(_ row: UnsafeBufferPointer<Float>, position: Int, head: Int) -> Double {
        let pattern = patterns[head]
        if pattern.isDense || position >= shape.keyCount - pattern.denseLastRows { return 1 }
        let windowStart = max(0, position - pattern.window + 1)
        var outside = 0.0
        var kept = 0.0
        columnSets[head].withUnsafeBufferPointer { isColumn in
            for start in stride(from: 0, to: windowStart, by: BlockMask.blockSize) {
                let keepsAll = pattern.keepsBlock(query: position / BlockMask.blockSize, key: start / BlockMask.blockSize)
                for key in start..<min(start + BlockMask.blockSize, windowStart) {
                    if keepsAll || isColumn[key] { kept += Double(row[key]) } else { outside += Double(row[key]) }
                }
            }
        }
        for key in windowStart...position { kept += Double(row[key]) }
        return kept / (kept + outside)
    }

    private static func transpose(_ block: UnsafePointer<Float>, keys: Int, lanes: Int, into rows: UnsafeMutablePointer<Float>, stride: Int)
    {
        let tile = 16
        for start in Swift.stride(from: 0, to: keys, by: tile) {
            let end = min(start + tile, keys)
            for lane in 0..<lanes {
                for key in start..<end { rows[lane * stride + key] = block[key * lanes + lane] }
            }
        }
    }
}
