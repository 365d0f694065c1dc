import CAttentionKernels

/// How a kernel rounds, as the table of its instruction set says for its precision, and in how many steps it sums: what a bound on
/// its output is derived from.
///
/// Everything rounds to nearest, and sums are FP32.
public struct RoundingFacts: Hashable, Sendable {
    /// The largest relative error of rounding a float to an operand of a product: 2⁻ᵖ for p significant bits, 0 for FP32.
    public let operandRoundoff: Double
    /// 2^x errs by no more than a polynomial of this degree in the fraction of x, by Horner's rule in FP32 …
    public let exponentialDegree: Int
    /// … whose own largest relative error this is.
    public let exponentialError: Double
    /// Keys of a full tile: a row's softmax is rescaled at most once a tile that it keeps any key of.
    public let tileKeys: Int
    /// The most tiles of which a row may keep fewer keys than `tileKeys`.
    public let partialTiles: Int
}

extension AttentionKernel {
    /// How `run` rounds blocks of five rows and more; fewer are FP32 and err less.
    public var rounding: RoundingFacts {
        RoundingFacts(
            operandRoundoff: tiles.rounding.operand_roundoff, exponentialDegree: Int(tiles.rounding.exp2_degree),
            exponentialError: tiles.rounding.exp2_error, tileKeys: KernelTable.tileKeys, partialTiles: RowBlockTiles.mostPartialTiles)
    }
}
