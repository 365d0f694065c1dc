import AttentionCore

/// A pattern with the name that reports give it.
public struct VerifiedPattern: Hashable, Sendable {
    public let name: String
    public let pattern: SparsePattern

    public init(name: String, pattern: SparsePattern) {
        self.name = name
        self.pattern = pattern
    }

    /// The name of the pattern that selection chose, and of dense attention in the forward pass itself.
    public static let selectedName = "selected by SampleAttention"
    public static let denseName = "dense, as the model ran it"

    /// The patterns that do not depend on the data: windows, columns, block columns with slashes, scattered blocks, and key blocks listed
    /// for each 64 rows, so that every kind of key the kernel knows is met.
    public static func fixed(keyCount: Int) -> [VerifiedPattern] {
        func stripes(_ window: Int, _ columns: [Int32]) -> SparsePattern {
            .windowColumns(WindowColumns(window: window, columns: columns))
        }
        let blocks = BlockMask.blockCount(tokens: keyCount)
        return [
            VerifiedPattern(name: "window of 64", pattern: stripes(64, [])),
            VerifiedPattern(
                name: "4 sinks and window of 1/8", pattern: stripes(max(1, keyCount / 8), (0..<Int32(min(4, keyCount))).map(\.self))),
            VerifiedPattern(
                name: "every 16th column and window of 8",
                pattern: stripes(8, stride(from: 0, to: Int32(keyCount), by: 16).map(\.self))),
            VerifiedPattern(
                name: "block column 0 and slashes 0 and 2", pattern: .columnsSlashes(ColumnsSlashes(columns: [0], slashes: [0, 2]))),
            VerifiedPattern(
                name: "every third block", pattern: .blocks(BlockMask(blocks: blocks) { ($0 + $1).isMultiple(of: 3) })),
            VerifiedPattern(name: "4 sinks, window of 16 and every third block of 32 keys", pattern: listedBlocks(keyCount: keyCount)),
        ]
    }

    /// Each 64 rows keep other blocks, and some of them their own.
    private static func listedBlocks(keyCount: Int) -> SparsePattern {
        let rows = WindowKeyBlocks.queryBlockRows
        let lists = (0..<(keyCount + rows - 1) / rows).map { queryBlock in
            let blocks = (min(keyCount, (queryBlock + 1) * rows) + 31) / 32
            return stride(from: queryBlock % 3, to: blocks, by: 3).map(Int32.init)
        }
        return .windowKeyBlocks(WindowKeyBlocks(window: 16, sinks: 4, blockTokens: 32, lists: lists))
    }

    /// Every name of a layer's verification, in order.
    public static var names: [String] { [selectedName] + fixed(keyCount: 1).map(\.name) + [denseName] }
}
