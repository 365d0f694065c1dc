/// How many heads an attention layer has, of each kind.
struct GGUFHeads: Sendable {
    let query, keyValue: Int
}

/// What the conversion to GGUF has done to a tensor, and how it is undone.
struct GGUFTensorChange: Hashable, Sendable {
    /// Where rows are reordered within heads, the number of heads.
    var permutedHeads: Int?
    /// What was added to every number.
    var offset: Float = 0

    /// The rotary embeddings of llama.cpp turn neighbours, those of the hub the two halves of a head; for the former, row
    /// h·d + half·(d/2) + j of the hub stands at h·d + 2·j + half.
    ///
    /// - Parameter count: the rows (of a vector, the numbers); `canPermute(_:)` is true for it.
    /// - Returns: the stored row that is the hub's row `row`.
    func storedRow(_ row: Int, of count: Int) -> Int {
        guard let permutedHeads else { return row }
        let dimension = count / permutedHeads
        let (head, inHead) = row.quotientAndRemainder(dividingBy: dimension)
        let (half, pair) = inHead.quotientAndRemainder(dividingBy: dimension / 2)
        return head * dimension + 2 * pair + half
    }

    /// True unless rows must be reordered and `count` of them are not heads of an even number of rows.
    func canPermute(_ count: Int) -> Bool { permutedHeads.map { count % (2 * $0) == 0 } ?? true }
}
