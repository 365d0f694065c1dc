import SampleAttention

/// The other systems by name, and SampleAttention with parts of it exchanged.
public enum AttentionSystem: String, Sendable, CaseIterable {
    case bigBird = "big-bird"
    case streamingLLM = "streaming-llm"
    case hyperAttention = "hyper-attention"
    case hashSparse = "hash-sparse"
    case verticalSlash = "minference"
    case flexPrefill = "flex-prefill"
    case xAttention = "x-attention"
    case quest
    case moba
    case keyNorms = "key-norms"
    case lowRank = "low-rank"
    case pooledQueries = "pooled-queries"
    case sharedByGroup = "shared-group"
    case sharedByLayers = "shared-layers"

    /// Published rivals; the others are variants of SampleAttention's selection.
    public static let rivals: [AttentionSystem] = [
        .bigBird, .streamingLLM, .hyperAttention, .hashSparse, .verticalSlash, .flexPrefill, .xAttention, .quest, .moba,
    ]
    public static let variants = allCases.filter { !rivals.contains($0) }

    /// The system with its paper's settings, or at a density.
    ///
    /// - Parameter seed: of whatever it draws.
    public func method(budget: Budget = .own, seed: UInt64) -> any AttentionMethod {
        switch self {
        case .bigBird: BigBird(seed: seed, budget: budget)
        case .streamingLLM: StreamingLLM(budget: budget)
        case .hyperAttention: HyperAttention(seed: seed, budget: budget)
        case .hashSparse: HashSparse(seed: seed, budget: budget)
        case .verticalSlash: VerticalSlash(budget: budget)
        case .flexPrefill: FlexPrefill(budget: budget)
        case .xAttention: XAttention(budget: budget)
        case .quest: Quest(budget: budget)
        case .moba: MoBA(budget: budget)
        case .keyNorms: ImportanceStripes(.keyNorms, budget: budget)
        case .lowRank: ImportanceStripes(.lowRank(16), budget: budget)
        case .pooledQueries: ImportanceStripes(.pooledQueries, budget: budget)
        case .sharedByGroup: SharedSelection(.group, budget: budget)
        case .sharedByLayers: SharedSelection(.layers(2), budget: budget)
        }
    }
}
