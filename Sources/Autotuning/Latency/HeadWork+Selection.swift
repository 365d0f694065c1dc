import AttentionCore
import AttentionKernels
import SampleAttention

extension HeadWork {
    /// Lanes that a masked kernel does or leaves out together: one vector of the widest instruction set. On narrower ones it is
    /// twice as fine, which costs a few pairs at the edges.
    static let vectorLanes = 16

    /// Stages 1 and 2.
    mutating func addSelection(_ parameters: SampleAttentionParameters, shape: AttentionShape, promptLength: Int) {
        switch parameters.pattern {
        case .stripeWindow:
            let lag = parameters.columnScoring == .windowAware ? parameters.window.positions(promptLength: promptLength) : 0
            let positions = positions(parameters.samplingPlan(queryCount: shape.queryCount).rows, shape: shape)
            self[.sampledPairs] += Self.scoredPairs(positions)
            self[.summedPairs] += Self.summedPairs(positions, lag: lag)
            self[.candidates] += Double(shape.keyCount)
        case .columnSlash:
            let positions = positions(parameters.samplingPlan(queryCount: shape.queryCount).rows, shape: shape)
            self[.sampledPairs] += Self.scoredPairs(positions)
            self[.candidates] += 2 * Double(BlockMask.blockCount(tokens: shape.keyCount))
        default:
            // Patterns that sample nothing.
            return
        }
    }

    /// Drawn rows stand evenly over the queries, on average.
    mutating func addCertificate(rows: Int, shape: AttentionShape) {
        self[.certificates] += 1
        let even = (0..<rows).map { ($0 + 1) * shape.queryCount / (rows + 1) }
        self[.certifiedPairs] += Self.scoredPairs(positions(even, shape: shape))
    }

    private func positions(_ rows: [Int], shape: AttentionShape) -> [Int] { rows.map { shape.firstPosition + $0 } }

    /// A vector of lanes scores all keys up to its last row.
    private static func scoredPairs(_ positions: [Int]) -> Double {
        stride(from: 0, to: positions.count, by: SampledScores.lanesPerBlock).reduce(0) { pairs, start in
            let block = positions[start..<min(start + SampledScores.lanesPerBlock, positions.count)]
            return pairs
                + stride(from: block.startIndex, to: block.endIndex, by: vectorLanes).reduce(0) {
                    $0 + Double(vectorLanes * (block[min($1 + vectorLanes, block.endIndex) - 1] + 1))
                }
        }
    }

    /// A lane block of sampled rows, however many it holds, adds up the keys that its last row does not see in the window.
    private static func summedPairs(_ positions: [Int], lag: Int) -> Double {
        let lanes = SampledScores.lanesPerBlock
        return stride(from: 0, to: positions.count, by: lanes).reduce(0) {
            $0 + Double(lanes * max(0, positions[min($1 + lanes, positions.count) - 1] + 1 - lag))
        }
    }
}
