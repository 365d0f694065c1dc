import AttentionCore
import AttentionKernels
import Parallelism
import SampleAttention

/// Hash-sparse attention: queries and keys are hashed, and a query sees the earlier keys of its bucket, and itself.
///
/// Row at position p keeps t < p with h(k_t) = h(q_p), and t = p.
/// Source: fast attention over long sequences with dynamic sparse FlashAttention (arXiv 2306.01160); 16 buckets as SampleAttention
/// (arXiv 2406.15486) compared with.
public struct HashSparse: AttentionMethod {
    /// Even: a projection and its negative are a bucket each.
    public var buckets = 16
    public var seed: UInt64
    public var budget: Budget

    public init(seed: UInt64, budget: Budget = .own) {
        self.seed = seed
        self.budget = budget
    }

    /// Buckets of equal size keep about one pair in as many.
    private var bucketCount: Int {
        guard case .density(let share) = budget else { return buckets }
        return 2 * max(1, Int((0.5 / share.value).rounded()))
    }

    /// Pairs in buckets are no pattern of a head.
    public var canCertify: Bool { false }

    public func attend(
        _ call: LayerCall, output: MutableHeadTensor, logSumExp: UnsafeMutablePointer<Float>?, certification: Certification?,
        workspace: AttentionWorkspace
    ) -> AttentionReport {
        precondition(certification == nil, "buckets cannot be certified")
        let start = ContinuousClock.now
        let groups = call.pool.map(call.shape.queryHeads) { self.groups(call, head: $0) }
        let hashed = ContinuousClock.now
        let softmax = GatheredSoftmax(shape: call.shape, output: output)
        call.kernel.accumulate(
            Array(groups.joined()), query: call.inputs.query, key: call.inputs.key, value: call.inputs.value, into: softmax,
            workspace: workspace)
        softmax.finish()
        if let logSumExp { softmax.copyLogSumExp(to: logSumExp) }
        return AttentionReport(
            keptPairs: groups.map { $0.reduce(0) { $0 + $1.pairs(firstPosition: call.shape.firstPosition) } },
            causalPairs: call.shape.causalPairs, selectionSeconds: (hashed - start).seconds,
            kernelSeconds: (ContinuousClock.now - hashed).seconds)
    }

    /// The buckets of one head that any query is in.
    package func groups(_ call: LayerCall, head: Int) -> [GatheredGroup] {
        let count = bucketCount
        var random = SeededGenerator.derived(seed: seed, call.layer, head)
        let hash = LocalitySensitiveHash(projections: count / 2, dimension: call.shape.headDimension, random: &random)
        let (query, key) = (call.inputs.query.head(head), call.inputs.key.head(call.shape.keyValueHead(of: head)))
        var queries = [[Int32]](repeating: [], count: count)
        var keys = queries
        for token in 0..<query.tokens { queries[hash.bucket(query.row(head: 0, token: token))].append(Int32(token)) }
        for token in 0..<key.tokens { keys[hash.bucket(key.row(head: 0, token: token))].append(Int32(token)) }
        return zip(queries, keys).filter { !$0.0.isEmpty }.map { queries, keys in
            GatheredGroup(head: head, queries: queries, keys: keys, rule: .upToOwnPosition)
        }
    }
}
