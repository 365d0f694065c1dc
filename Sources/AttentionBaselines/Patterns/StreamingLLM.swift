import AttentionCore
import AttentionKernels
import SampleAttention

/// The first keys (attention sinks) and a sliding window, whatever stands between.
///
/// Row at position p keeps t ≤ p when t < sinks or t > p − window.
/// Source: StreamingLLM (arXiv 2309.17453), four sinks; the window of 8 % of the prompt is the one SampleAttention
/// (arXiv 2406.15486) compared with.
public struct StreamingLLM: PatternMethod {
    public var sinks = 4
    public var window = SampleAttentionParameters.Window.ratio(try! Fraction(0.08))
    public var budget = Budget.own

    public init(budget: Budget = .own) { self.budget = budget }

    public func patterns(_ call: LayerCall, workspace: AttentionWorkspace) -> [SparsePattern] {
        let pattern = budget.pattern(shape: call.shape) { strength in
            let own = strength.map { max(1, Int($0 * Double(call.promptLength))) } ?? window.positions(promptLength: call.promptLength)
            return .windowColumns(WindowColumns(window: own, columns: Array(0..<Int32(min(sinks, call.shape.keyCount)))))
        }
        return Array(repeating: pattern, count: call.shape.queryHeads)
    }
}
