import AttentionCore
import AttentionKernels
import SampleAttention

/// A sliding window, global keys at the start, and random blocks, all fixed before any key is seen.
///
/// Row at position p keeps t ≤ p when t > p − window, or t < globals, or the key's block of 128 is one of `randomBlocks` that were
/// drawn for the query's block (for each layer and head anew, from the seed).
/// Source: BigBird (arXiv 2007.14062), three random blocks; window and global tokens of 8 % of the prompt each are what
/// SampleAttention (arXiv 2406.15486) compared with.
public struct BigBird: PatternMethod {
    public var windowRatio = try! Fraction(0.08)
    public var globalRatio = try! Fraction(0.08)
    public var randomBlocks = 3
    public var seed: UInt64
    public var budget: Budget

    public init(seed: UInt64, budget: Budget = .own) {
        self.seed = seed
        self.budget = budget
    }

    public func patterns(_ call: LayerCall, workspace: AttentionWorkspace) -> [SparsePattern] {
        call.patternOfEachHead { head in
            budget.pattern(shape: call.shape) { strength in
                let scale = strength.map { $0 / windowRatio.value } ?? 1
                return pattern(call, head: head, scale: scale)
            }
        }
    }

    /// Window, globals and random blocks, all grown by a factor.
    private func pattern(_ call: LayerCall, head: Int, scale: Double) -> SparsePattern {
        func positions(_ ratio: Fraction) -> Int {
            min(call.shape.keyCount, max(1, Int((ratio.value * scale * Double(call.promptLength)).rounded())))
        }
        let random = randomMask(call, head: head, count: Int((Double(randomBlocks) * scale).rounded()))
        let window = WindowColumns(window: positions(windowRatio), columns: Array(0..<Int32(positions(globalRatio))))
        return .union([.windowColumns(window), .blocks(random)])
    }

    private func randomMask(_ call: LayerCall, head: Int, count: Int) -> BlockMask {
        let chosen = (0..<call.blocks).map { queryBlock in
            // A row's blocks in one order for all counts, so that more blocks include fewer.
            var random = SeededGenerator.derived(seed: seed, call.layer, head, queryBlock)
            return count >= queryBlock ? Set(0..<queryBlock) : Set((0..<queryBlock).shuffled(using: &random).prefix(count))
        }
        return BlockMask(blocks: call.blocks) { chosen[$0].contains($1) }
    }
}
