import AttentionCore
import AttentionKernels
import ErrorBounds
import Parallelism

/// One head under several patterns: the kernel is run under each and held against the exact computation and every bound.
///
/// Runs on the calling thread, so that heads can be verified in parallel; use one a thread.
public struct HeadVerification {
    /// The outcome of one head.
    public struct Outcome: Sendable {
        public let verifier: BoundVerifier
        /// What the bounds say under the first pattern.
        public let headBounds: HeadBounds
    }

    private let kernel: AttentionKernel
    private let bounds: [any OutputErrorBound]
    private let workspace = AttentionWorkspace()

    /// A verification of a kernel in the instruction set and precision of `kernel`, on one thread.
    ///
    /// - Throws: `InputError` (`unsupported`) when this machine lacks the instruction set.
    public init(kernel: AttentionKernel, bounds: [any OutputErrorBound] = StandardBounds.all) throws(InputError) {
        self.kernel = try AttentionKernel(
            instructionSet: kernel.instructionSet, precision: kernel.precision, pool: WorkerPool(threads: 1))
        self.bounds = bounds
    }

    /// Verifies `patterns`, at least one, and then `dense`: an output that was computed elsewhere without a mask.
    ///
    /// O(patterns · queryCount · keyCount · (2·d + 3·dv)) time, O(rows + 64 · keyCount) memory.
    /// - Throws: `InputError` (`usage`) when a pattern does not fit the keys.
    public func run(
        _ head: KernelHead, patterns: [VerifiedPattern], dense: KernelOutput? = nil, label: String
    ) throws(InputError) -> Outcome {
        precondition(!patterns.isEmpty, "a head is verified under at least one pattern")
        let values = ValueExtent(of: head.exact)
        var verifier = BoundVerifier(bounds: bounds)
        var summary: HeadBounds?
        func check(_ pattern: SparsePattern, _ output: KernelOutput, _ name: String) {
            let measurement = MaskMeasurement(
                head.exact, keeping: pattern, values: values, label: "\(label), \(name)", kernel: output)
            verifier.check(measurement)
            summary = summary ?? HeadBounds(measurement)
        }
        for pattern in patterns {
            check(pattern.pattern, try head.output(keeping: pattern.pattern, kernel: kernel, workspace: workspace), pattern.name)
        }
        if let dense { check(.dense, dense, VerifiedPattern.denseName) }
        return Outcome(verifier: verifier, headBounds: summary!)
    }
}

extension HeadVerification {
    /// Every constructed head: in double precision as it was made, then rounded to FP32 and run through the kernel.
    public static func adversarialHeads(
        kernel: AttentionKernel, bounds: [any OutputErrorBound] = StandardBounds.all
    ) throws(InputError) -> BoundVerifier {
        let verification = try HeadVerification(kernel: kernel, bounds: bounds)
        var total = BoundVerifier(bounds: bounds)
        for made in AdversarialHeads.all {
            total.verify(made.head, keeping: [made.pattern], label: made.name)
            let rounded = try KernelHead(rounding: made.head)
            total.merge(
                try verification.run(
                    rounded, patterns: [VerifiedPattern(name: "rounded to FP32", pattern: made.pattern)], label: made.name
                ).verifier)
        }
        return total
    }
}
