import AttentionCore
import AttentionKernels
import AttentionLayers
import ErrorBounds
import Parallelism
import SampleAttention

/// All heads of one layer, each under the pattern that SampleAttention selects for it, the fixed patterns, and dense attention
/// as the forward pass computed it; heads in parallel on the kernel's pool.
public struct LayerVerification: Sendable {
    /// The outcome of one layer.
    public struct Outcome: Sendable {
        public let verifier: BoundVerifier
        /// What the bounds say of each head under its selected pattern.
        public let heads: [HeadBounds]
    }

    private let kernel: AttentionKernel
    private let bounds: [any OutputErrorBound]

    public init(kernel: AttentionKernel, bounds: [any OutputErrorBound] = StandardBounds.all) {
        self.kernel = kernel
        self.bounds = bounds
    }

    /// Verifies every head of a layer under full attention.
    ///
    /// Memory: each worker holds one head in double precision and 64 rows of its scores.
    ///
    /// - Parameters:
    ///   - parameters: of the selection, one entry a query head.
    ///   - label: begins the labels of violations; layer, head and pattern follow.
    /// - Throws: `InputError` (`invalidData`) when a number of the layer is not finite, naming layer, head and number.
    public func run(
        _ attention: LayerAttention, parameters: [SampleAttentionParameters], label: String, workspace: AttentionWorkspace
    ) throws(InputError) -> Outcome {
        let selected = selectedPatterns(attention.inputs, parameters: parameters, workspace: workspace)
        let inputs = attention.inputs
        let (layer, output) = (attention.layer, attention.output)
        let results = kernel.pool.map(selected.count) { head in
            Result { () throws(InputError) in
                try HeadVerification(kernel: kernel, bounds: bounds).run(
                    InputError.within("layer \(layer), head \(head)") { () throws(InputError) in try KernelHead(queryHead: head, of: inputs)
                    },
                    patterns: [selected[head]] + VerifiedPattern.fixed(keyCount: inputs.shape.keyCount),
                    dense: KernelOutput(head: head, of: output, kernel: kernel),
                    label: "\(label), layer \(layer), head \(head)")
            }
        }
        var total = BoundVerifier(bounds: bounds)
        var heads: [HeadBounds] = []
        for result in results {
            let outcome = try result.get()
            total.merge(outcome.verifier)
            heads.append(outcome.headBounds)
        }
        return Outcome(verifier: total, heads: heads)
    }

    /// Verifies every head of every layer of a prompt.
    ///
    /// - Parameters:
    ///   - parameters: of the selection in a layer, one entry a query head.
    ///   - advance: called after each layer.
    /// - Throws: as `run(_:parameters:label:workspace:)`, and what the source throws.
    public func run(
        _ source: some LayerSource, parameters: (_ layer: Int) -> [SampleAttentionParameters], label: String, advance: () -> Void = {}
    ) throws -> [(layer: Int, outcome: Outcome)] {
        let workspace = AttentionWorkspace()
        var outcomes: [(layer: Int, outcome: Outcome)] = []
        try source.forEachLayer { attention in
            let outcome = try run(attention, parameters: parameters(attention.layer), label: label, workspace: workspace)
            outcomes.append((attention.layer, outcome))
            advance()
        }
        return outcomes
    }

    private func selectedPatterns(
        _ inputs: LayerInputs, parameters: [SampleAttentionParameters], workspace: AttentionWorkspace
    ) -> [VerifiedPattern] {
        let length = inputs.shape.keyCount
        let selections = SampleAttentionOperator(kernel: kernel).select(
            inputs, parameters: parameters, promptLength: length, workspace: workspace)
        return zip(parameters, selections).map { parameters, selection in
            VerifiedPattern(
                name: VerifiedPattern.selectedName,
                pattern: SampleAttentionOperator.pattern(
                    parameters, selection: selection, shape: inputs.shape, promptLength: length))
        }
    }
}
