import AttentionCore

/// An ε > 0, finite: the hypothesis that both theorems begin with. Units: those of the values, L1.
public struct ErrorTolerance: Hashable, Sendable {
    public let value: Double

    /// - Throws: `InputError` (`usage`) when `value` is not positive and finite.
    public init(_ value: Double) throws(InputError) {
        guard value > 0, value.isFinite else {
            throw InputError(.usage, field: "error", value: "\(value)", rule: "must be positive and finite")
        }
        self.value = value
    }
}

/// Theorem 1: for every ε > 0 there is a mask with ‖P̃ − P‖ ≤ ε/R, and then ‖Õ − O‖ ≤ ε.
///
/// Hypotheses, as types: ε > 0 (`ErrorTolerance`), R finite (`ValueExtent`), rows of P that sum to one over the causal keys
/// (`AttentionHead` computes them). Norms are the largest row L1 norm; R = max_j ‖V_j‖₁; Õ = P̃V is the un-renormalised
/// output. In the matrix 1-norm (largest column sum) ‖P̃ − P‖ may exceed 1 − CRA, and the same bound does not hold.
///
/// Source: SampleAttention (arXiv 2406.15486), Theorem 1.
public struct Theorem1: Hashable, Sendable {
    public let error: ErrorTolerance
    public let values: ValueExtent

    public init(error: ErrorTolerance, values: ValueExtent) {
        self.error = error
        self.values = values
    }

    /// ε/R: how far P̃ may be from P, at most 1 (everything dropped).
    public var probabilityBudget: Double { UnrenormalisedBound().largestDroppedMass(error: error, values: values) }

    /// The mask whose existence the theorem states: row by row the fewest keys that leave at most ε/R. Where ε ≥ R the theorem
    /// would let a row keep nothing; this mask keeps one key, as a softmax needs.
    ///
    /// Complexity: as `SparsestMask`.
    public func mask(for head: AttentionHead) -> SparsestMask { SparsestMask(of: head, largestDroppedMass: probabilityBudget) }
}

/// Theorem 2: CRA(M) ≥ α suffices for an error of at most ε. Which α depends on the output that is computed:
///
/// | output | α |
/// |---|---|
/// | un-renormalised P̃V | 1 − ε/R |
/// | renormalised over the kept keys | 1 − ε/D, or 1 − ε/(2R) when D is unknown |
///
/// Hypotheses, as types: those of Theorem 1, and for the renormalised output that every row keeps a key, which `AttentionMask`
/// promises: a row without a run keeps its own position.
///
/// Source: SampleAttention (arXiv 2406.15486), Theorem 2, with the factor that renormalising costs.
public struct Theorem2: Hashable, Sendable {
    public let error: ErrorTolerance
    public let values: ValueExtent
    public let output: OutputForm

    public init(error: ErrorTolerance, values: ValueExtent, output: OutputForm) {
        self.error = error
        self.values = values
        self.output = output
    }

    /// The smallest α these bounds can promise ε for, in [0, 1]; 0 when any mask will do.
    public var alpha: Double { 1 - largestDroppedMass }

    /// 1 − α, with the relative precision that a difference from 1 would lose.
    public var largestDroppedMass: Double {
        switch output {
        case .unrenormalised: UnrenormalisedBound().largestDroppedMass(error: error, values: values)
        case .renormalised:
            max(
                RenormalisedDiameterBound().largestDroppedMass(error: error, values: values),
                RenormalisedRadiusBound().largestDroppedMass(error: error, values: values))
        }
    }

    /// The hypothesis on the mask: CRA ≥ α.
    public func isMet(by measurement: MaskMeasurement) -> Bool { measurement.largestDroppedMass <= largestDroppedMass }

    /// The conclusion: every row's error is at most ε, up to the rounding of the measurement.
    public func holds(for measurement: MaskMeasurement) -> Bool {
        measurement.worstRow(for: output).error(of: output)
            <= error.value + measurement.allowance(keys: measurement.rows.map(\.causalKeys).max()!)
    }
}
