import AttentionCore
import AttentionKernels
import SampleAttention

extension HeadWork {
    /// Stages 1 and 2.
    mutating func addSelection(_ parameters: SampleAttentionParameters, shape: AttentionShape, promptLength: Int) {
        switch parameters.pattern {
        case .stripeWindow:
            let rule = parameters.massRule(promptLength: promptLength)
            let positions = positions(parameters.samplingPlan(queryCount: shape.queryCount).rows, shape: shape)
            self[.sampledPairs] += Double(SampledScores.scoredPairs(positions: positions))
            self[.summedPairs] += Double(SampledScores.summedPairs(positions: positions, rule: rule))
            self[.candidates] += Double(shape.keyCount)
        case .columnSlash:
            let positions = positions(parameters.samplingPlan(queryCount: shape.queryCount).rows, shape: shape)
            self[.sampledPairs] += Double(SampledScores.scoredPairs(positions: positions))
            self[.candidates] += 2 * Double(BlockMask.blockCount(tokens: shape.keyCount))
        case .keyBlocks:
            addKeyBlockScoring(
                KeyBlockGeometry(parameters, shape: shape, promptLength: promptLength),
                coordinates: parameters.scoredCoordinates(of: shape.headDimension), shape: shape)
        case .window, .dense:
            // Nothing is scored.
            return
        }
    }

    private mutating func addKeyBlockScoring(_ geometry: KeyBlockGeometry, coordinates: Int, shape: AttentionShape) {
        self[.quantizedKeys] += Double(shape.keyCount) / Double(coordinates < shape.headDimension ? 1 : shape.groupSize)
        for block in geometry.queryBlocks {
            let pairs = Double(SampledScores.lanesPerBlock * geometry.keys(queryBlock: block))
            self[.quantizedPairs] += pairs
            self[.quantizedProducts] += pairs * Double(coordinates)
            self[.candidates] += Double(geometry.keyBlocks(queryBlock: block).count)
        }
    }

    /// Drawn rows stand evenly over the queries, on average.
    mutating func addCertificate(rows: Int, shape: AttentionShape) {
        self[.certificates] += 1
        let even = (0..<rows).map { ($0 + 1) * shape.queryCount / (rows + 1) }
        self[.certifiedPairs] += Double(SampledScores.scoredPairs(positions: positions(even, shape: shape)))
    }

    private func positions(_ rows: [Int], shape: AttentionShape) -> [Int] { rows.map { shape.firstPosition + $0 } }
}
