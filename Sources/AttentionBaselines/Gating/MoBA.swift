import AttentionCore
import AttentionKernels
import Parallelism
import SampleAttention

/// MoBA, mixture of block attention: each query row chooses blocks of keys by their mean.
///
/// Row at position p sees its own block up to p, and of the blocks before that the `topBlocks` − 1 with the largest gate q · k̄, where k̄ is
/// the mean of a block's keys. Rows that chose a block attend to it together, and the parts are joined by their sums, as in the original:
/// each row keeps its own choice and nothing else, which no pattern of whole tiles could say.
/// Source: MoBA (arXiv 2502.13189), parameter-less gating: blocks of 512 and the top 3 of its scaling experiments, the own block among
/// them. Models are trained with it there; here it is put into one that was not.
/// Complexity: queries · keys · d / `blockTokens` multiply-adds in FP32 a head for the gates.
public struct MoBA: AttentionMethod {
    public var blockTokens = 512
    /// Blocks that a row sees, its own included; at least 1.
    public var topBlocks = 3
    public var budget: Budget

    public init(budget: Budget = .own) { self.budget = budget }

    /// Each row's choice is its own, and no pattern of a head.
    public var canCertify: Bool { false }

    public func attend(
        _ call: LayerCall, output: MutableHeadTensor, logSumExp: UnsafeMutablePointer<Float>?, certification: Certification?,
        workspace: AttentionWorkspace
    ) -> AttentionReport {
        precondition(certification == nil, "rows that choose for themselves cannot be certified")
        let start = ContinuousClock.now
        let passes = passes(call)
        let chosen = ContinuousClock.now
        let softmax = GatheredSoftmax(shape: call.shape, output: output)
        var pairs = [Int](repeating: 0, count: call.shape.queryHeads)
        for groups in passes {
            call.kernel.accumulate(
                groups, query: call.inputs.query, key: call.inputs.key, value: call.inputs.value, into: softmax, workspace: workspace)
            for group in groups { pairs[group.head] += group.pairs(firstPosition: call.shape.firstPosition) }
        }
        softmax.finish()
        if let logSumExp { softmax.copyLogSumExp(to: logSumExp) }
        return AttentionReport(
            keptPairs: pairs, causalPairs: call.shape.causalPairs, selectionSeconds: (chosen - start).seconds,
            kernelSeconds: (ContinuousClock.now - chosen).seconds)
    }

    /// The own blocks of all rows, then their first choice, their second, …: in a pass no two groups have a row in common.
    package func passes(_ call: LayerCall) -> [[GatheredGroup]] {
        let counts = chosenBlocks(call.shape)
        let gates = call.pool.map(call.shape.keyValueHeads) { MeanGate(call.inputs.key.head($0), blockTokens: blockTokens) }
        let heads = call.pool.map(call.shape.queryHeads) { head -> [[GatheredGroup]] in
            let choices = gates[call.shape.keyValueHead(of: head)].choices(
                call.inputs.query.head(head), firstPosition: call.shape.firstPosition, counts: counts)
            return [ownBlocks(call.shape, head: head)]
                + choices.map { choice in
                    choice.enumerated().filter { !$0.element.isEmpty }.map { block, queries in
                        group(head: head, queries: queries, block: block, rule: .all, keyCount: call.shape.keyCount)
                    }
                }
        }
        return (0..<(counts.max() ?? 0) + 1).map { pass in heads.flatMap { $0[pass] } }
    }

    /// How many blocks before their own the rows of each block choose: all that there are, where there are fewer. With a density it is
    /// the same share of the blocks before, whole blocks as they come.
    private func chosenBlocks(_ shape: AttentionShape) -> [Int] {
        let blocks = (shape.keyCount + blockTokens - 1) / blockTokens
        return budget.strongest { strength in
            (0..<blocks).map { before in min(before, strength.map { Int(($0 * Double(before)).rounded()) } ?? topBlocks - 1) }
        } density: { counts in
            let pairs = counts.indices.reduce(0) { sum, block in
                let own = rows(ofBlock: block, shape)
                let inside = own.reduce(0) { $0 + $1 - block * blockTokens + 1 }
                return sum + own.count * counts[block] * blockTokens + inside
            }
            return Double(pairs) / Double(shape.causalPairs)
        }
    }

    /// Positions of a block that the call has rows for.
    private func rows(ofBlock block: Int, _ shape: AttentionShape) -> Range<Int> {
        (shape.firstPosition..<shape.keyCount).clamped(to: block * blockTokens..<(block + 1) * blockTokens)
    }

    private func ownBlocks(_ shape: AttentionShape, head: Int) -> [GatheredGroup] {
        (shape.firstPosition / blockTokens...(shape.keyCount - 1) / blockTokens).map { block in
            group(
                head: head, queries: rows(ofBlock: block, shape).map { Int32($0 - shape.firstPosition) }, block: block,
                rule: .upToOwnPosition, keyCount: shape.keyCount)
        }
    }

    private func group(head: Int, queries: [Int32], block: Int, rule: GatheredGroup.Rule, keyCount: Int) -> GatheredGroup {
        let keys = Int32(block * blockTokens)..<Int32(min(keyCount, (block + 1) * blockTokens))
        return GatheredGroup(head: head, queries: queries, keys: Array(keys), rule: rule)
    }
}
