import AttentionCore
import AttentionKernels
import RunProvenance

/// Where the layers of one prompt come from: a model that runs it, or a file of queries, keys and values that were captured.
///
/// Everything that looks at heads takes a source, so that it works on any model whose layers somebody wrote to a file.
public protocol LayerSource: Sendable {
    /// Computes what the layers give.
    var kernel: AttentionKernel { get }
    /// The layers there are, ascending: all of a model's, or those that were captured.
    var layers: [Int] { get }
    /// Of each layer.
    var queryHeads: Int { get }
    /// What the prompt is of.
    var text: Provenance.Text { get }
    /// The prompt's length.
    var tokens: Int { get }

    /// Shows each layer's full attention, in order, whole: as many queries as keys.
    ///
    /// - Throws: `InputError` where the layers cannot be had, and what `body` throws.
    func forEachLayer(_ body: (LayerAttention) throws -> Void) throws
}
