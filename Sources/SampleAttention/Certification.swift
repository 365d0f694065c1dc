import AttentionCore
import SampleStatistics

/// How the retained mass of heads is certified while they run, and what is done about heads that retain too little.
///
/// After the selection, `rows` query rows are drawn at random from those it has not seen and their exact retained mass under
/// the chosen pattern is measured; see `Certificate` for what follows from them.
public struct Certification: Hashable, Sendable {
    /// Rows drawn unless the caller says otherwise: 0.8 % of the rows of 32,768 tokens.
    public static let standardRows = 256
    /// α of `Certificate.alpha` for attentions that have none of their own.
    public static let standardAlpha = 0.95
    /// 1 − δ unless the caller says otherwise.
    public static let standardConfidence = 0.95

    /// Query rows drawn from each head. What they can show at best is about `1 − ln(1/δ) / rows`, when every one of them keeps
    /// everything: 0.987 from 256 rows, 0.997 from 1,024, at a confidence of 0.95.
    public let rows: Int
    /// The probability with which each statement of a certificate holds, 1 − δ in (0, 1).
    public let confidence: Double
    /// A head whose lower bound of the mean retained mass is below this takes more columns or key blocks, then everything.
    public let minimumMass: Fraction?
    /// The same seed draws the same rows.
    public let seed: UInt64

    /// - Throws: `InputError` (`usage`) when `rows` is below 2, or `confidence` is not between 0 and 1 or so small that 1 − `confidence`
    ///   is 1 in floating point.
    public init(
        rows: Int = Self.standardRows, confidence: Double = Self.standardConfidence, minimumMass: Fraction? = nil, seed: UInt64 = 1
    ) throws(InputError) {
        guard rows >= 2 else {
            throw InputError(.usage, field: "rows", value: "\(rows)", rule: "must be at least 2: fewer promise nothing")
        }
        guard confidence > 0, confidence < 1, 1 - confidence < 1 else {
            throw InputError(
                .usage, field: "confidence", value: "\(confidence)", rule: "must be above 0 and below 1, and at least about 1e-16")
        }
        self.init(checkedRows: rows, confidence: confidence, minimumMass: minimumMass, seed: seed)
    }

    private init(checkedRows rows: Int, confidence: Double, minimumMass: Fraction?, seed: UInt64) {
        self.rows = rows
        self.confidence = confidence
        self.minimumMass = minimumMass
        self.seed = seed
    }

    /// The same with a seed of its own for a layer, so that layers draw different rows.
    public func seeded(layer: Int) -> Certification {
        var generator = SeededGenerator.derived(seed: seed, layer)
        return Certification(checkedRows: rows, confidence: confidence, minimumMass: minimumMass, seed: generator.next())
    }

    /// What a head may be certified as: as selected, and where that misses the least mass, with more columns. A dense head is certain.
    var stages: [Certificate.Escalation] { minimumMass == nil ? [.none] : [.none, .columns] }

    /// δ of one stage: the failure probability is split over the stages that a head may go through, whichever is its last.
    var failure: Double { (1 - confidence) / Double(stages.count) }

    /// The lower bound that `rows` draws give which all keep everything: no draws show more.
    public var bestLowerBound: Double { Self.bestLowerBound(rows: rows, failure: failure) }

    private static func bestLowerBound(rows: Int, failure: Double) -> Double {
        MeanLowerBound.betting.of(Array(repeating: 1, count: rows), failure: failure)
    }

    /// False when even draws that all keep everything would leave a head's bound below the least mass.
    func canPass(unseenRows unseen: Int, of rows: Int) -> Bool {
        guard let least = minimumMass, unseen > self.rows else { return true }
        return 1 - Double(unseen) * (1 - bestLowerBound) / Double(rows) >= least.value
    }

    /// How many rows have to be drawn before a head can reach the least mass; nil when it can with `rows`, or is dense anyway.
    ///
    /// - Parameter queries: the positions in the prompt of the queries of one call.
    /// Complexity: O(n log n) in the result n, O(queries) at most.
    public func rowsNeeded(_ parameters: SampleAttentionParameters, queries: Range<Int>, promptLength: Int) -> Int? {
        guard parameters.pattern != .dense else { return nil }
        let strata = RowStrata(
            queryCount: queries.count, denseLastRows: max(0, parameters.denseLastRows - (promptLength - queries.upperBound)),
            scored: parameters.sampledRows(queryCount: queries.count), sampledMass: 1)
        return rowsNeeded(unseenRows: strata.unseenRows, of: queries.count)
    }

    /// The same for a head of which `unseen` of `count` rows are neither dense nor scored.
    public func rowsNeeded(unseenRows unseen: Int, of count: Int) -> Int? {
        guard let least = minimumMass, !canPass(unseenRows: unseen, of: count) else { return nil }
        // What the draws must show; all unseen rows need no draw.
        let needed = 1 - (1 - least.value) * Double(count) / Double(unseen)
        var (few, enough) = (rows, rows)
        while enough < unseen, Self.bestLowerBound(rows: enough, failure: failure) < needed { (few, enough) = (enough, 2 * enough) }
        enough = min(enough, unseen)
        while enough - few > max(1, enough / 64) {
            let middle = (few + enough) / 2
            if Self.bestLowerBound(rows: middle, failure: failure) < needed { few = middle } else { enough = middle }
        }
        return enough
    }

    /// Parameters that keep more: what α leaves out of the sampled mass, or what `minimumMass` allows if that is less, over 4;
    /// twice a fixed count of columns, and 64 more at the least; twice the key blocks.
    func escalated(_ parameters: SampleAttentionParameters) -> SampleAttentionParameters {
        func raised(_ alpha: Fraction) -> Fraction {
            // Between α and 1, so never outside (0, 1].
            try! Fraction(1 - (1 - max(alpha, minimumMass ?? alpha).value) / 4)
        }
        var more = parameters
        more.alpha = raised(parameters.alpha)
        more.alphaSlashes = parameters.alphaSlashes.map(raised)
        more.columnCount = parameters.columnCount.map { $0 + max($0, 64) }
        more.keyBlockCount *= 2
        return more
    }
}
