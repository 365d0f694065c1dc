import AttentionCore
import SampleAttention

/// How the pattern of a profiled head came about, for those who look at it.
public struct HeadPattern: Sendable, Hashable, Codable {
    public let kind: SampleAttentionParameters.Pattern
    /// The share of the sampled rows' mass that columns (and the window, for stripes) were selected for; nil for dense heads, bare
    /// windows, key blocks and those that keep a fixed number of columns.
    public let alpha: Double?
    /// The same for slashes; nil where there are none.
    public let alphaSlashes: Double?
    /// 128-token columns and slashes; nil where the pattern is not one of blocks.
    public let blockColumns, slashes: Int?
    /// Key blocks of all query blocks together, and the keys of one; nil where the pattern has none.
    public let keyBlocks, keyBlockTokens: Int?

    public init(_ parameters: SampleAttentionParameters, _ selection: HeadSelection) {
        switch selection {
        case .dense:
            (kind, alpha, alphaSlashes, blockColumns, slashes) = (.dense, nil, nil, nil, nil)
        case .window:
            (kind, alpha, alphaSlashes, blockColumns, slashes) = (.window, nil, nil, nil, nil)
        case .stripes:
            (kind, alphaSlashes, blockColumns, slashes) = (.stripeWindow, nil, nil, nil)
            alpha = parameters.columnCount == nil ? parameters.alpha.value : nil
        case .columnSlash(let lines):
            (kind, blockColumns, slashes) = (.columnSlash, lines.columns.count, lines.slashes.count)
            alpha = parameters.alpha.value
            alphaSlashes = (parameters.alphaSlashes ?? parameters.alpha).value
        case .keyBlocks:
            (kind, alpha, alphaSlashes, blockColumns, slashes) = (.keyBlocks, nil, nil, nil, nil)
        }
        if case .keyBlocks(let blocks) = selection {
            (keyBlocks, keyBlockTokens) = (blocks.count, blocks.blockTokens)
        } else {
            (keyBlocks, keyBlockTokens) = (nil, nil)
        }
    }
}
