import AttentionCore
import AttentionKernels
import ErrorBounds
import Parallelism
import SampleAttention

/// All heads of one layer, each under the pattern that SampleAttention selects for it, the fixed patterns, and dense attention
/// as the forward pass computed it; heads in parallel on the kernel's pool.
public struct LayerVerification: Sendable {
    /// A layer's attention, as the tap of a forward pass sees it.
    public struct Attention {
        public let layer: Int
        public let inputs: SampleAttentionOperator.Inputs
        /// [queryHeads][queryCount][d], dense.
        public let output: HeadTensor

        public init(layer: Int, inputs: SampleAttentionOperator.Inputs, output: HeadTensor) {
            self.layer = layer
            self.inputs = inputs
            self.output = output
        }
    }

    /// The outcome of one layer.
    public struct Outcome: Sendable {
        public let verifier: BoundVerifier
        /// What the bounds say of each head under its selected pattern.
        public let heads: [HeadBounds]
    }

    private let kernel: AttentionKernel
    private let parameters: SampleAttentionParameters
    private let bounds: [any OutputErrorBound]

    /// - Parameter parameters: of the selection, the same for every head.
    public init(
        kernel: AttentionKernel, parameters: SampleAttentionParameters, bounds: [any OutputErrorBound] = StandardBounds.all
    ) {
        self.kernel = kernel
        self.parameters = parameters
        self.bounds = bounds
    }

    /// Verifies every head. `label` begins the labels of violations; layer, head and pattern follow.
    ///
    /// Memory: each worker holds one head in double precision and 64 rows of its scores.
    /// - Throws: `InputError` (`invalidData`) when a number of the layer is not finite, naming layer, head and number.
    public func run(_ attention: Attention, label: String, workspace: AttentionWorkspace) throws(InputError) -> Outcome {
        let selected = selectedPatterns(attention.inputs, workspace: workspace)
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

    private func selectedPatterns(
        _ inputs: SampleAttentionOperator.Inputs, workspace: AttentionWorkspace
    ) -> [VerifiedPattern] {
        let length = inputs.shape.keyCount
        let selections = SampleAttentionOperator(kernel: kernel).select(
            inputs, parameters: Array(repeating: parameters, count: inputs.shape.queryHeads), promptLength: length, workspace: workspace)
        return selections.map { selection in
            VerifiedPattern(
                name: VerifiedPattern.selectedName,
                pattern: SampleAttentionOperator.pattern(
                    parameters, selection: selection, shape: inputs.shape, promptLength: length))
        }
    }
}
