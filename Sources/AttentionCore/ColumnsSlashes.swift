/// Block columns and block slashes: pairs of 128-token blocks on some vertical and some diagonal lines of the causal triangle.
///
/// A pair of query position p and key t, in blocks q = ⌊p / 128⌋ and k = ⌊t / 128⌋ of *absolute* positions, is kept when t ≤ p
/// and k ∈ columns or q − k ∈ slashes; the last `denseLastRows` rows keep everything.
/// Source: SampleAttention, third version (MLSys 2025), the structured mask of columns and slashes.
public struct ColumnsSlashes: Hashable, Sendable {
    /// Key blocks kept for their own and every later query block; strictly ascending.
    public let columns: [Int32]
    /// Kept offsets, query block − key block; strictly ascending, the first always 0: a row keeps its own block.
    public let slashes: [Int32]
    /// Rows at the end of the keys that are computed densely.
    public let denseLastRows: Int

    /// - Parameters:
    ///   - columns: key blocks, strictly ascending.
    ///   - slashes: block offsets, strictly ascending; 0 is added when it is absent.
    public init(columns: [Int32], slashes: [Int32], denseLastRows: Int = 0) {
        precondition(denseLastRows >= 0, "denseLastRows cannot be negative")
        precondition(columns.isAscendingIndices, "columns are key blocks, strictly ascending")
        precondition(slashes.isAscendingIndices, "slashes are block offsets, strictly ascending")
        self.columns = columns
        self.slashes = slashes.first == 0 ? slashes : [0] + slashes
        self.denseLastRows = denseLastRows
    }

    /// True when any pair of the two blocks is kept: keyBlock ≤ queryBlock on a column or a slash. O(log columns + log slashes).
    public func keeps(queryBlock: Int, keyBlock: Int) -> Bool {
        keyBlock <= queryBlock && (columns.containsIndex(keyBlock) || slashes.containsIndex(queryBlock - keyBlock))
    }
}
