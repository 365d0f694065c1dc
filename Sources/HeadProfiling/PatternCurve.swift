/// What nested patterns keep, from the sparsest of a family to dense: pairs against mass.
///
/// A window and columns, columns and slashes (128-token blocks), or key blocks by query block; the heaviest come first.
public struct PatternCurve: Hashable, Sendable, Codable {
    /// The window in positions; nil for columns and slashes and for key blocks, where the diagonal's blocks take its place.
    public let window: Int?
    /// Lines kept at each step, or key blocks of each query block, ascending.
    public let lines: [Int]
    /// Kept over causal pairs at each step.
    public let densities: [Double]
    /// Over query rows at each step: the mean of the retained mass, and its minimum, which is the pattern's CRA.
    public let meanMasses, leastMasses: [Double]

    /// A pattern of a family that meets a floor.
    public struct Choice: Hashable, Sendable, Codable {
        /// The share of causal pairs it drops.
        public let degree: Double
        public let window: Int?
        public let lines: Int
    }

    /// The sparsest step whose mass reaches α; nil when none does.
    func sparsest(reaching alpha: Double, _ masses: KeyPath<PatternCurve, [Double]>) -> Choice? {
        lines.indices.filter { self[keyPath: masses][$0] >= alpha }.min { densities[$0] < densities[$1] }
            .map { Choice(degree: 1 - densities[$0], window: window, lines: lines[$0]) }
    }
}

/// The structured patterns' share of the sparsity degree: SD(α) with the mask restricted to a family.
///
/// The best of nested patterns, their columns (and slashes) ranked by mass: in the family of window + columns over windows of
/// `ProfileScale.windows`, each with its columns ranked by the mass outside it; in that of columns + slashes ranked together
/// by mass a pair; in that of key blocks equally many 32-key blocks for each 64-row query block, ranked by the mass of its rows.
/// What SampleAttention can choose from, found with the exact mass of every row; the optimum over arbitrary column sets is a
/// covering problem (NP-hard) and may be sparser still, so these are lower bounds of it, and SD(α) an upper one.
public struct StructuredSparsity: Hashable, Sendable, Codable {
    public let windowColumns, columnsSlashes: PatternCurve.Choice
    /// Its lines are the blocks of keys that each query block keeps, the diagonal's and the first among them.
    public let keyBlocks: PatternCurve.Choice

    public var best: Double { max(windowColumns.degree, columnsSlashes.degree, keyBlocks.degree) }

    init(_ curves: StructureCurves, alpha: Double, _ masses: KeyPath<PatternCurve, [Double]>) {
        // Keeping everything always will do.
        let dense = PatternCurve.Choice(degree: 0, window: nil, lines: 0)
        windowColumns = curves.stripes.compactMap { $0.sparsest(reaching: alpha, masses) }.max { $0.degree < $1.degree } ?? dense
        columnsSlashes = curves.lines.sparsest(reaching: alpha, masses) ?? dense
        keyBlocks = curves.keyBlocks.sparsest(reaching: alpha, masses) ?? dense
    }
}

/// What the structured patterns of one head keep as they grow.
struct StructureCurves: Sendable {
    /// A window and columns, one curve a window.
    let stripes: [PatternCurve]
    /// Columns and slashes.
    let lines: PatternCurve
    let keyBlocks: PatternCurve
}
