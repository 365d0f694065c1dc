import AttentionCore
import AttentionKernels
import Parallelism
import SampleAttention

/// Measures every head of a layer exactly: all query rows, all causal keys, no sampling.
///
/// Two passes over a head's probabilities, neither of which stores them: the first sums masses, counts the fewest keys of every
/// row and measures the given pattern; the second follows structured patterns as they grow, row by row.
///
/// Memory: O(keys) a worker, and (keys / 128)² sums of blocks. Time: about two dense attentions.
/// Source: CRA and SD are the paper's (arXiv 2406.15486); streamed, with the definitions of `ProfileScale` and `StructuredSparsity`.
public struct HeadProfiler: Sendable {
    private let walk: ProbabilityWalk

    public init(kernel: AttentionKernel) { walk = ProbabilityWalk(kernel: kernel) }

    /// - Parameters:
    ///   - patterns: one a query head, whose retained mass is measured.
    ///   - sampledMasses: one a query head, what the selection of that pattern saw itself keep.
    ///   - advance: called after each head.
    /// - Throws: `InputError` (`invalidData`), naming layer and head, when a number of Q, K or V is not finite, or a score might not be:
    ///   shares of such a head are none.
    public func profile(
        layer: Int, inputs: LayerInputs, patterns: [SparsePattern], sampledMasses: [Double?], scale: ProfileScale,
        workspace: AttentionWorkspace, advance: () -> Void = {}
    ) throws(InputError) -> [HeadMeasurement] {
        let shape = inputs.shape
        precondition(patterns.count == shape.queryHeads && sampledMasses.count == shape.queryHeads, "one pattern a query head")
        try InputError.within("layer \(layer)") { () throws(InputError) in try inputs.requireFinite(pool: walk.pool) }
        let windows = scale.windows(below: shape.keyCount)
        let lags = windows + patterns.map { $0.parts.isDense ? 0 : $0.parts.window }
        let first = MassPass(walk: walk, shape: shape, windows: lags, alphas: scale.alphas)
        let second = StructurePass(walk: walk, shape: shape)
        let passes = patterns.indices.map { head in
            let masses = first.run(head: head, inputs: inputs, patterns: [patterns[head].parts], workspace: workspace)
            let curves = second.run(head: head, inputs: inputs, masses: masses, windows: windows, workspace: workspace)
            advance()
            return (masses: masses, curves: curves)
        }
        return walk.pool.map(passes.count) { head in
            let (masses, curves) = passes[head]
            return HeadMeasurement(
                profile: Self.profile(
                    layer: layer, head: head, masses: masses, curves: curves, pattern: patterns[head], sampledMass: sampledMasses[head],
                    scale: scale),
                picture: AttentionPicture(masses, pattern: patterns[head]), columns: masses.selected(patterns[head].parts))
        }
    }

    /// The retained mass of any number of patterns of each head, over every query row: `results[head][pattern]`.
    ///
    /// - Throws: `InputError` (`invalidData`) as `profile`.
    public func retainedMasses(
        layer: Int, inputs: LayerInputs, patterns: [[SparsePattern]], workspace: AttentionWorkspace
    ) throws(InputError) -> [[RetainedMass]] {
        let rows = inputs.shape.queryCount
        precondition(patterns.count == inputs.shape.queryHeads, "one list of patterns a query head")
        try InputError.within("layer \(layer)") { () throws(InputError) in try inputs.requireFinite(pool: walk.pool) }
        return patterns.enumerated().map { head, patterns in
            let parts = patterns.map(\.parts)
            let masses = AlignedBuffer<Double>(count: patterns.count * rows)
            let target = SharedPointer(masses.base)
            walk.run(head: head, inputs: inputs, workspace: workspace) { step in
                for (index, parts) in parts.enumerated() {
                    let retained = step.block.retainedMass(strip: step.strip, parts: parts, keyCount: inputs.shape.keyCount)
                    for (lane, mass) in retained.enumerated() { target.base[index * rows + step.firstRow + lane] = mass }
                }
            }
            return patterns.indices.map { RetainedMass(rows: Array(masses.elements[$0 * rows..<($0 + 1) * rows])) }
        }
    }

    private static func profile(
        layer: Int, head: Int, masses: HeadMasses, curves: StructureCurves, pattern: SparsePattern, sampledMass: Double?,
        scale: ProfileScale
    ) -> HeadProfile {
        let shape = masses.shape
        let parts = pattern.parts
        let degrees = masses.fewestKeys.map { 1 - Double($0) / Double(shape.causalPairs) }
        let structured = scale.alphas.map { StructuredSparsity(curves, alpha: $0, \.leastMasses) }
        let structuredMean = scale.alphas.map { StructuredSparsity(curves, alpha: $0, \.meanMasses) }
        let best = structuredMean[scale.mainAlpha].windowColumns.window
        return HeadProfile(
            layer: layer, head: head, sparsityDegrees: degrees, structured: structured, structuredMean: structuredMean,
            structureGaps: zip(degrees, structured).map { $0 - $1.best },
            masses: shares(masses, scale: scale), retained: RetainedMass(rows: masses.retained[0]), sampledMass: sampledMass,
            density: pattern.density(shape), window: parts.isDense ? shape.keyCount : parts.window, columns: parts.columns.count,
            curve: curves.stripes.first { $0.window == best } ?? curves.lines, keyBlockCurve: curves.keyBlocks)
    }

    private static func shares(_ masses: HeadMasses, scale: ProfileScale) -> HeadProfile.MassShares {
        return HeadProfile.MassShares(
            sinks: scale.sinks.map(masses.sinkMass),
            windows: scale.windows.map { $0 < masses.shape.keyCount ? masses.windowMass($0) : 1 },
            columns: masses.heaviest(scale.columns, of: masses.columns(outside: 0)),
            slashes: masses.heaviest(scale.slashes, of: masses.blockSlashes))
    }
}
