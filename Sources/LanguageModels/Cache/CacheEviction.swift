import AttentionCore
import AttentionKernels
import SampleAttention

/// Which keys and values are still there when decoding begins: every key-value head of every layer keeps as many.
public struct CacheEviction: Sendable, Hashable, Encodable {
    /// What is kept beside the most recent positions.
    public enum Rule: String, Sendable, CaseIterable, Codable {
        /// The first four, attention sinks. Source: StreamingLLM (arXiv 2309.17453).
        case streaming
        /// As many as recent ones: those that drew the most attention in the prompt, added up over a sample of its rows and the query
        /// heads of the group. Source: heavy hitters, H2O (arXiv 2306.14048), which adds up all rows.
        case heavyHitters = "heavy-hitters"
        /// As many as recent ones: those that the prompt's last 64 rows attend to most, such as a question at its end, or their
        /// neighbours up to 8 positions away. Source: SnapKV (arXiv 2404.14469), whose poolings reach 2 to 6: tokenizers that spell numbers digit
        /// by digit make facts longer.
        case lastQueries = "last-queries"
    }

    public let rule: Rule
    /// Positions that each head keeps of the prompt.
    public let budget: Int

    static let sinks = 4
    /// The share of the prompt's rows whose attention is added up, and the rows at its end that are asked.
    private static let sampleRatio = try! Fraction(0.05)
    private static let lastRows = 64
    private static let reach = 8

    /// - Precondition: the budget is positive.
    public init(_ rule: Rule, budget: Int) {
        precondition(budget > 0, "a budget is positive")
        self.rule = rule
        self.budget = budget
    }

    /// The largest within reach of each position.
    private static func pooled(_ masses: [Float]) -> [Float] {
        masses.indices.map { masses[max(0, $0 - reach)...min(masses.count - 1, $0 + reach)].max()! }
    }

    /// Query rows of a chunk whose attention says what to keep; nil when none is asked.
    func rows(queryCount: Int) -> [Int]? {
        switch rule {
        case .streaming: nil
        case .heavyHitters: SamplingPlan.strided(queryCount: queryCount, ratio: Self.sampleRatio).rows
        case .lastQueries: Array(max(0, queryCount - Self.lastRows)..<queryCount)
        }
    }

    /// Rows of each head that stay, ascending, of `count`: all of them when there are no more than the budget.
    ///
    /// - Parameter masses: [key] of one head; not read by streaming.
    package func kept(of count: Int, masses: [Float]?) -> [Int] {
        guard count > budget else { return Array(0..<count) }
        switch rule {
        case .streaming:
            let first = min(Self.sinks, budget - 1)
            return Array(0..<first) + Array(count - (budget - first)..<count)
        case .heavyHitters, .lastQueries:
            let recent = (budget + 1) / 2
            let scores = rule == .lastQueries ? Self.pooled(masses!) : masses!
            let earlier = FewestToReach(Array(scores[..<(count - recent)])).positions(heaviest: budget - recent).positions.map(Int.init)
            // Where too few have any mass, the latest of the others fill up.
            let missing = budget - recent - earlier.count
            let others = missing > 0 ? (0..<count - recent).filter { !earlier.contains($0) }.suffix(missing) : []
            return (earlier + others).sorted() + Array(count - recent..<count)
        }
    }
}

/// Adds up the attention that each key draws from the rows an eviction asks, layer by layer; of several chunks all, or the last alone.
struct AttentionMassObserver: ForwardObserver {
    /// [layer][key-value head][key].
    private(set) var masses: [[[Float]]]
    private let eviction: CacheEviction
    private let kernel: AttentionKernel
    private let workspace = AttentionWorkspace()

    init(_ eviction: CacheEviction, layers: Int, kernel: AttentionKernel) {
        self.eviction = eviction
        masses = Array(repeating: [], count: layers)
        self.kernel = kernel
    }

    mutating func attended(_ attention: LayerAttention) {
        let (layer, inputs) = (attention.layer, attention.inputs)
        let shape = inputs.shape
        guard let rows = eviction.rows(queryCount: shape.queryCount) else { return }
        let heads = SampledScores(kernel: kernel).columnMasses(
            query: inputs.query, key: inputs.key, shape: shape, requests: (0..<shape.queryHeads).map { ($0, rows, .all) },
            workspace: workspace)
        let groups = (0..<shape.keyValueHeads).map { group in
            heads[group * shape.groupSize..<(group + 1) * shape.groupSize].reduce(Array(repeating: 0, count: shape.keyCount)) {
                zip($0, $1).map(+)
            }
        }
        let before = eviction.rule == .heavyHitters ? masses[layer] : []
        masses[layer] = groups.enumerated().map { group, sums in
            before.isEmpty ? sums : sums.enumerated().map { $0 < before[group].count ? $1 + before[group][$0] : $1 }
        }
    }
}

extension KeyValueCache {
    /// A cache of what the rule keeps, with room for some more tokens.
    ///
    /// - Parameter masses: [layer][key-value head][row]; nil for rules that do not read them.
    /// - Throws: `InputError` (`systemFailure`) when the system does not give the memory.
    package func evicting(_ eviction: CacheEviction, masses: [[[Float]]]?, room: Int) throws(InputError) -> KeyValueCache {
        let (layers, heads) = extents
        return try exclusively { () throws(InputError) in
            let kept = (0..<layers).map { layer in
                (0..<heads).map { head in
                    // A layer with a window of its own reads the latest rows, whatever else there were.
                    windows[layer] == nil
                        ? eviction.kept(of: count, masses: masses?[layer][head]) : Array(max(0, count - eviction.budget)..<count)
                }
            }
            return try keeping(kept, room: room)
        }
    }
}
