import AttentionCore
import AttentionKernels
import SampleAttention

/// What one head's prefill attention has to do, in the units its time is made of: pairs, keys, tiles.
///
/// Counts are the kernel's (`KernelWork`): rows go in lane blocks and in vectors of 16 lanes, keys in tiles of 128, and what a mask throws
/// away inside them is work all the same. They depend on parameters, pattern and shape, never on data, and are for one
/// head dimension: a pair is 4 · d operations in attention and 2 · d where only scores are made.
public struct HeadWork: Hashable, Sendable {
    /// The kinds of work, and what each is counted in.
    public enum Term: String, CaseIterable, Codable, Sendable {
        /// The head itself: 1.
        case heads
        /// Blocks of 64 query rows: queries are packed, outputs divided by their sums.
        case laneBlocks
        /// Query rows that are no longer in the cache when their turn comes, with their outputs, keys and values:
        /// rows · max(0, 1 − cache / what the layer holds).
        case distantRows
        /// Keys brought in from K and V (in BF16 rounded, too), once for the up to four lane blocks that share them.
        case loadedKeys
        /// Tiles of up to 128 keys that lane blocks add: each passes over the output's accumulators once.
        case tiles
        /// Those of them in which some lane does not keep some key.
        case maskedTiles
        /// Pairs of dense rows and their keys.
        case densePairs
        /// Pairs in windows, those of a row block among itself included.
        case windowPairs
        /// Pairs in gathered columns, and in key blocks chosen for 64 rows, which are gathered too.
        case columnPairs
        /// Pairs in blocks of columns and slashes.
        case blockPairs
        /// Columns copied next to each other, and keys of chosen blocks, once for each 64 rows.
        case gatheredColumns
        /// Pairs of sampled rows and keys: scores only, and their probabilities go to memory.
        case sampledPairs
        /// Pairs of whole lane blocks of sampled rows whose probabilities are added down the columns.
        case summedPairs
        /// Pairs of whole lane blocks of rows and keys that are scored in eight bits, for key blocks.
        case quantizedPairs
        /// Products of eight bits in these scores: pairs, each as often as coordinates are scored.
        case quantizedProducts
        /// Keys packed in eight bits for that, shared out among the heads that have them in common: heads with coordinates of their own
        /// have none.
        case quantizedKeys
        /// Masses, or largest scores of key blocks, from which stage 2 chooses.
        case candidates
        /// Certificates: 1 a head that asks for one.
        case certificates
        /// Pairs of rows drawn for a certificate and keys.
        case certifiedPairs
    }

    /// In the order of `Term.allCases`.
    private var counts = [Double](repeating: 0, count: Term.allCases.count)

    /// No work at all.
    init() {}

    /// How much of one kind; not negative.
    public subscript(term: Term) -> Double {
        get { counts[term.index] }
        set { counts[term.index] = newValue }
    }

    /// The work of a head under the pattern that its parameters and a selection came to.
    ///
    /// - Parameters:
    ///   - shape: the whole layer's: its heads share the cache.
    ///   - parameters: what stage 1 samples; `nil` for a pattern that nothing was sampled for.
    ///   - pattern: see `SampleAttentionOperator.pattern`; must fit the shape.
    ///   - promptLength: the length that windows refer to; the keys when nil.
    ///   - certifiedRows: rows drawn for one look of a certificate.
    /// Complexity: as `KernelWork`.
    public init(
        _ parameters: SampleAttentionParameters?, pattern: SparsePattern, shape: AttentionShape, promptLength: Int? = nil,
        certifiedRows: Int = 0
    ) {
        self[.heads] = 1
        self[.distantRows] = Self.distantRows(shape)
        addKernel(pattern.parts, shape: shape)
        if let parameters { addSelection(parameters, shape: shape, promptLength: promptLength ?? shape.keyCount) }
        if certifiedRows > 0, pattern != .dense { addCertificate(rows: certifiedRows, shape: shape) }
    }

    /// The work of a head with a selection that stages 1 and 2 came to; as the other initialiser.
    public init(
        _ parameters: SampleAttentionParameters, selection: HeadSelection, shape: AttentionShape, promptLength: Int? = nil,
        certifiedRows: Int = 0
    ) {
        let pattern = SampleAttentionOperator.pattern(
            parameters, selection: selection, shape: shape, promptLength: promptLength ?? shape.keyCount)
        self.init(parameters, pattern: pattern, shape: shape, promptLength: promptLength, certifiedRows: certifiedRows)
    }

    /// What a layer's tensors may take and still be in the cache; the order of magnitude is enough, for the coefficient is measured.
    static let cacheBytes = 4 << 20

    private static func distantRows(_ shape: AttentionShape) -> Double {
        let rows = 2 * (shape.queryHeads * shape.queryCount + shape.keyValueHeads * shape.keyCount)
        let bytes = rows * shape.headDimension * MemoryLayout<Float>.stride
        return Double(shape.queryCount) * max(0, 1 - Double(cacheBytes) / Double(bytes))
    }

    /// By the terms' names.
    public var named: [String: Double] { Dictionary(uniqueKeysWithValues: zip(Term.allCases.map(\.rawValue), counts)) }

    /// Both together.
    public static func + (left: HeadWork, right: HeadWork) -> HeadWork {
        var sum = left
        for term in Term.allCases { sum[term] += right[term] }
        return sum
    }
}

extension HeadWork.Term {
    /// The term's place in `allCases`.
    var index: Int { Self.places[self]! }

    private static let places = Dictionary(uniqueKeysWithValues: allCases.enumerated().map { ($1, $0) })
}
