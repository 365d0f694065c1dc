/// The extents and strides of per-head rows, held against the memory they are said to lie in.
struct HeadExtents {
    let heads, tokens, dimension: Int
    /// In floats: from a head's row to the next head's, and from a token's to the next token's.
    let headStride, tokenStride: Int

    /// Positions are 32-bit numbers in patterns and kernels.
    private static let most = Int(Int32.max)

    /// - Throws: `InputError` (`usage`) when an extent is not in 1 … 2³¹ − 1, when a stride is negative, or when the last row does not
    ///   end within `count` floats.
    func check(count: Int, field: String) throws(InputError) {
        for (name, extent) in [("heads", heads), ("tokens", tokens), ("dimension", dimension)] where !(1...Self.most).contains(extent) {
            throw InputError(.usage, field: "\(field).\(name)", value: "\(extent)", rule: "must be in 1 ... \(Self.most)")
        }
        for (name, stride) in [("headStride", headStride), ("tokenStride", tokenStride)] where stride < 0 {
            throw InputError(.usage, field: "\(field).\(name)", value: "\(stride)", rule: "must not be negative")
        }
        guard let floats = end, floats <= count else {
            throw InputError(
                .usage, field: "\(field).count", value: "\(count)",
                rule: "must hold \(heads) heads and \(tokens) tokens of \(dimension) floats at strides of \(headStride) and \(tokenStride)"
                    + (end.map { ": \($0) floats" } ?? ""))
        }
    }

    /// - Throws: `InputError` (`usage`) when two rows share memory, which rows that are written must not. Extents are checked already.
    func checkAreApart(field: String) throws(InputError) {
        let isHeadMajor = heads == 1 || headStride >= (tokens - 1) * tokenStride + dimension
        let isTokenMajor = tokens == 1 || tokenStride >= (heads - 1) * headStride + dimension
        let headsAreApart = heads == 1 || headStride >= dimension
        let tokensAreApart = tokens == 1 || tokenStride >= dimension
        guard headsAreApart, tokensAreApart, isHeadMajor || isTokenMajor else {
            throw InputError(
                .usage, field: "\(field).headStride, \(field).tokenStride", value: "\(headStride), \(tokenStride)",
                rule: "must keep the rows of \(heads) heads and \(tokens) tokens of \(dimension) floats apart")
        }
    }

    /// Floats up to the end of the last row; nil where that is no `Int`.
    private var end: Int? {
        let (head, headOverflows) = (heads - 1).multipliedReportingOverflow(by: headStride)
        let (token, tokenOverflows) = (tokens - 1).multipliedReportingOverflow(by: tokenStride)
        let (row, rowOverflows) = head.addingReportingOverflow(token)
        let (end, endOverflows) = row.addingReportingOverflow(dimension)
        return headOverflows || tokenOverflows || rowOverflows || endOverflows ? nil : end
    }
}
