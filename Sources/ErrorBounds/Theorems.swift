import AttentionCore

/// Theorem 1: for every ε > 0 there is a mask with ‖P̃ − P‖ ≤ ε/R, and then ‖Õ − O‖ ≤ ε.
///
/// Norms are the largest row L1 norm; R = max_j ‖V_j‖₁; Õ = P̃V is the un-renormalised output. In the matrix 1-norm (largest
/// column sum) the theorem does not hold, since ‖P̃ − P‖ may then exceed 1 − CRA.
///
/// Source: SampleAttention (arXiv 2406.15486), Theorem 1.
public enum Theorem1 {
    /// ε/R: how far P̃ may be from P, at most 1 (everything dropped).
    ///
    /// - Throws: `InputError` (`usage`) when `error` is not positive and finite.
    public static func probabilityBudget(error: Double, values: ValueExtent) throws(InputError) -> Double {
        try UnrenormalisedBound().largestDroppedMass(error: error, values: values)
    }

    /// The mask whose existence the theorem states: row by row the fewest keys that leave at most ε/R.
    ///
    /// Complexity: as `SparsestMask`.
    /// - Throws: `InputError` (`usage`) when `error` is not positive and finite.
    public static func mask(for head: AttentionHead, error: Double, values: ValueExtent) throws(InputError) -> SparsestMask {
        SparsestMask(of: head, largestDroppedMass: try probabilityBudget(error: error, values: values))
    }
}

/// Theorem 2: CRA(M) ≥ α suffices for an error of at most ε. Which α depends on the output that is computed:
///
/// | output | α |
/// |---|---|
/// | un-renormalised P̃V | 1 − ε/R |
/// | renormalised over the kept keys | 1 − ε/D, or 1 − ε/(2R) when D is unknown |
///
/// Source: SampleAttention (arXiv 2406.15486), Theorem 2, with the factor that renormalising costs.
public enum Theorem2 {
    /// The smallest α these bounds can promise ε for, in [0, 1]; 0 when any mask will do.
    ///
    /// - Throws: `InputError` (`usage`) when `error` is not positive and finite.
    public static func alpha(error: Double, values: ValueExtent, output: OutputForm) throws(InputError) -> Double {
        switch output {
        case .unrenormalised: return try UnrenormalisedBound().alpha(error: error, values: values)
        case .renormalised:
            return min(
                try RenormalisedDiameterBound().alpha(error: error, values: values),
                try RenormalisedRadiusBound().alpha(error: error, values: values))
        }
    }
}
