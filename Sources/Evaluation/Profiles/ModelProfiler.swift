import AttentionCore
import AttentionKernels
import AttentionLayers
import DurableFiles
import HeadProfiling
import LanguageModels
import ModelFormats
import Parallelism
import RunProvenance
import SampleAttention

/// Profiles heads prompt by prompt.
///
/// Every layer's Q, K and V are those of dense attention; `policy` says which patterns are measured on them.
public struct ModelProfiler {
    private let policy: AttentionPolicy
    private let scale: ProfileScale

    /// - Parameter policy: one of parameters, not of another method.
    public init(policy: AttentionPolicy, scale: ProfileScale) {
        precondition(policy.isSampleAttention, "a profile is of SampleAttention's own patterns")
        self.policy = policy
        self.scale = scale
    }

    /// - Parameters:
    ///   - work: its records are not measured again, and get what is measured.
    ///   - sibling: an earlier prompt of the same length, to compare columns with.
    ///   - advance: called after each head.
    /// - Throws: what the source throws, and where the journal cannot be written.
    public func profile(
        _ source: some LayerSource, work: WorkExecutor<LayerItem, LayerProfile> = .init(), sibling: PromptProfile? = nil,
        advance: () -> Void = {}
    ) throws -> PromptProfile {
        let start = ContinuousClock.now
        let items = LayerItem.all(of: source)
        let before = items.reduce(0) { $0 + (work[$1]?.seconds ?? 0) }
        if work.done(items) < items.count {
            let workspace = AttentionWorkspace()
            let sparse = SparseOutputs()
            // Where the dense pass itself overflows, it is the one to say so.
            var unusable: InputError?
            try source.forEachLayer { attention in
                if unusable != nil { return }
                let item = LayerItem(layer: attention.layer, of: source)
                let prompt = Prompt(
                    textSHA256: item.textSHA256, previous: work[LayerItem(layer: attention.layer - 1, of: source)],
                    sibling: sibling?.layers.first { $0.layer == attention.layer })
                _ = try work.run(together: [item]) { _ in
                    do throws(InputError) {
                        return [
                            try measure(
                                attention, prompt: prompt, kernel: source.kernel, workspace: workspace, sparse: sparse, advance: advance)
                        ]
                    } catch {
                        unusable = error
                        return [nil]
                    }
                }
            }
            if let unusable { throw unusable }
        }
        return PromptProfile(
            text: source.text.name, textSHA256: source.text.sha256, length: source.tokens,
            seconds: before + (ContinuousClock.now - start).seconds, layers: items.compactMap { work[$0] })
    }

    /// Where a layer stands.
    private struct Prompt {
        let textSHA256: String
        let previous, sibling: LayerProfile?
    }

    private func measure(
        _ attention: LayerAttention, prompt: Prompt, kernel: AttentionKernel, workspace: AttentionWorkspace, sparse: SparseOutputs,
        advance: () -> Void
    ) throws(InputError) -> LayerProfile {
        let start = ContinuousClock.now
        let (layer, inputs) = (attention.layer, attention.inputs)
        let shape = inputs.shape
        guard let parameters = policy.parameters(layer: layer, queryHeads: shape.queryHeads, promptLength: shape.keyCount) else {
            preconditionFailure("a profile is of SampleAttention's own patterns")
        }
        let selections = SampleAttentionOperator(kernel: kernel).select(
            inputs, parameters: parameters, promptLength: shape.keyCount, workspace: workspace)
        let patterns = zip(parameters, selections).map {
            SampleAttentionOperator.pattern($0, selection: $1, shape: shape, promptLength: shape.keyCount)
        }
        let heads = try HeadProfiler(kernel: kernel).profile(
            layer: layer, inputs: inputs, patterns: patterns, sampledMasses: selections.map(\.sampledMass), scale: scale,
            workspace: workspace, advance: advance)
        let errors = try OutputErrors(inputs: inputs, dense: attention.output, kernel: kernel)
            .measure(patterns, layer: layer, retained: heads.map(\.profile.retained), sparse: sparse, workspace: workspace)
        return LayerProfile(
            textSHA256: prompt.textSHA256, length: shape.keyCount, layer: layer, seconds: (ContinuousClock.now - start).seconds,
            heads: heads.map(\.profile), pictures: heads.map(\.picture), columns: heads.map(\.columns.positions),
            patterns: zip(parameters, selections).map(HeadPattern.init),
            overlaps: overlaps(heads.map(\.columns), shape: shape, prompt: prompt), errors: errors)
    }

    private func overlaps(_ heads: [SelectedColumns], shape: AttentionShape, prompt: Prompt) -> LayerProfile.Overlaps {
        func mean(_ overlaps: [ColumnOverlap?]) -> ColumnOverlap? { ColumnOverlap(meanOf: overlaps.compactMap(\.self)) }
        func sameHead(_ others: LayerProfile?) -> ColumnOverlap? {
            mean(zip(heads, others?.columns ?? []).map { ColumnOverlap($0, borrowing: $1) })
        }
        let pairs = heads.indices.flatMap { own in heads.indices.map { (own: own, other: $0) } }
        let group = pairs.filter { $0 != $1 && shape.keyValueHead(of: $0) == shape.keyValueHead(of: $1) }
        return LayerProfile.Overlaps(
            withinGroup: mean(group.map { ColumnOverlap(heads[$0.own], borrowing: heads[$0.other].positions) }),
            previousLayer: sameHead(prompt.previous), otherPrompt: sameHead(prompt.sibling))
    }
}

/// Room for a layer's sparse outputs, taken once for all layers.
private final class SparseOutputs {
    private var buffer = AlignedBuffer<Float>(count: 0)

    func tensor(_ shape: AttentionShape) -> MutableHeadTensor {
        let count = shape.queryHeads * shape.queryCount * shape.headDimension
        if buffer.count < count { buffer = AlignedBuffer(count: count) }
        return MutableHeadTensor(
            projection: buffer.base, heads: shape.queryHeads, tokens: shape.queryCount, dimension: shape.headDimension)
    }
}

/// How far a layer's sparse outputs are from the dense ones.
private struct OutputErrors {
    let inputs: LayerInputs
    let dense: HeadTensor
    let kernel: AttentionKernel

    /// - Throws: `InputError` (`invalidData`) when an output is not finite: weights of this size are beyond FP32's range.
    func measure(
        _ patterns: [SparsePattern], layer: Int, retained: [RetainedMass], sparse: SparseOutputs, workspace: AttentionWorkspace
    ) throws(InputError) -> [HeadError] {
        let shape = inputs.shape
        let output = sparse.tensor(shape)
        kernel.run(
            try AttentionPlan(shape: shape, patterns: patterns), query: inputs.query, key: inputs.key, value: inputs.value, output: output,
            workspace: workspace)
        let extents = ValueDiameter.bounds(inputs, pool: kernel.pool)
        let errors = kernel.pool.map(patterns.count) { head in
            let distances = (0..<shape.queryCount).map { distance(head: head, row: $0, to: output.readOnly) }
            let values = extents[shape.keyValueHead(of: head)]
            return HeadError(
                radius: values.radius, diameter: values.diameter, bound: (1 - retained[head].minimum) * values.diameter,
                largest: distances.largest() ?? 0, mean: distances.reduce(0, +) / Double(max(1, distances.count)))
        }
        if let head = errors.firstIndex(where: { ![$0.radius, $0.diameter, $0.bound, $0.largest, $0.mean].allSatisfy(\.isFinite) }) {
            throw InputError(
                .invalidData, field: "layer \(layer), head \(head)", value: "error \(errors[head].mean)",
                rule: "outputs must be finite to be compared")
        }
        return errors
    }

    private func distance(head: Int, row: Int, to sparse: HeadTensor) -> Double {
        let (a, b) = (dense.row(head: head, token: row), sparse.row(head: head, token: row))
        return (0..<inputs.shape.headDimension).reduce(0) { $0 + Double(abs(a[$1] - b[$1])) }
    }
}
