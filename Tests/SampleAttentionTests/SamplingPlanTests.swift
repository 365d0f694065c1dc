import AttentionCore
import SampleAttention
import Testing

@Suite struct SamplingPlanTests {
    @Test func stridesStandInTheMiddle() throws {
        #expect(SamplingPlan.strided(queryCount: 10, ratio: .one).rows == Array(0..<10))
        #expect(SamplingPlan.strided(queryCount: 100, ratio: try Fraction(0.05)).rows == [10, 30, 50, 70, 90])
        #expect(SamplingPlan.strided(queryCount: 1, ratio: try Fraction(0.01)).rows == [0])
    }

    @Test func randomRowsFollowTheSeed() {
        let random = SamplingPlan.random(queryCount: 1000, count: 50, seed: 9)
        #expect(random.rows.count == 50)
        #expect(random == SamplingPlan.random(queryCount: 1000, count: 50, seed: 9))
        #expect(random != SamplingPlan.random(queryCount: 1000, count: 50, seed: 10))
    }

    /// 40 rows of 300: three segments of 100, with 16, 16 and the remaining 8 rows at their ends.
    @Test func tailBlocksEndTheirSegments() throws {
        let plan = SamplingPlan.tailBlocks(queryCount: 300, ratio: try Fraction(40.0 / 300))
        #expect(plan.rows == Array(84..<100) + Array(184..<200) + Array(292..<300))
        #expect(SamplingPlan.tailBlocks(queryCount: 1000, ratio: try Fraction(0.004)).rows == [996, 997, 998, 999])
        #expect(SamplingPlan.tailBlocks(queryCount: 1, ratio: try Fraction(0.01)).rows == [0])
    }

    /// Every rule takes ⌈ratio · queries⌉ rows, in order and once; a ratio of 1 takes all.
    @Test func everyPlanTakesItsShareInOrder() throws {
        for queryCount in Array(0...130) + [511, 512, 1000, 4097] {
            for ratio in [0.001, 0.05, 0.2, 0.5, 0.9, 0.95, 0.99, 1] {
                let ratio = try Fraction(ratio)
                let plans = [
                    SamplingPlan.strided(queryCount: queryCount, ratio: ratio),
                    SamplingPlan.tailBlocks(queryCount: queryCount, ratio: ratio),
                    SamplingPlan.random(queryCount: queryCount, ratio: ratio, seed: 3),
                    SamplingPlan.lastRows(queryCount: queryCount, ratio: ratio),
                ]
                for plan in plans {
                    let label = "\(queryCount) queries, ratio \(ratio): \(plan.rows)"
                    #expect(plan.rows.count == ratio.ceiling(of: queryCount), "\(label)")
                    #expect(zip(plan.rows, plan.rows.dropFirst()).allSatisfy { $0 < $1 }, "\(label)")
                    #expect((plan.rows.first ?? 0) >= 0 && (plan.rows.last ?? 0) < max(1, queryCount), "\(label)")
                }
                // The prompt's last rows are what the answer depends on: the last segment's block ends with the prompt.
                #expect(queryCount == 0 || plans[1].rows.last == queryCount - 1, "\(queryCount) queries, ratio \(ratio)")
            }
        }
    }

    /// Away from the last block, tail blocks are whole and their ends equally far apart, give or take a row.
    @Test(arguments: [1000, 4096, 32_753]) func tailBlocksAreWholeAndEven(queryCount: Int) throws {
        let plan = SamplingPlan.tailBlocks(queryCount: queryCount, ratio: try Fraction(0.05))
        let ends = plan.rows.filter { !plan.rows.contains($0 + 1) }.map { $0 + 1 }
        let segments = (plan.rows.count + 15) / 16
        #expect(ends == (1...segments).map { $0 * queryCount / segments })
        for end in ends.dropLast() { #expect(plan.rows.count { (end - 16..<end).contains($0) } == 16) }
    }

    @Test func parametersChooseTheRule() throws {
        var parameters = SampleAttentionParameters.standard
        #expect(parameters.samplingPlan(queryCount: 4000) == .strided(queryCount: 4000, ratio: parameters.sampleRatio))
        parameters.sampling = .tailBlocks
        #expect(parameters.samplingPlan(queryCount: 4000) == .tailBlocks(queryCount: 4000, ratio: parameters.sampleRatio))
        parameters.sampling = .lastRows
        #expect(parameters.samplingPlan(queryCount: 4000).rows == Array(3800..<4000))
        parameters.sampling = .random
        #expect(parameters.samplingPlan(queryCount: 4000) == .random(queryCount: 4000, ratio: parameters.sampleRatio, seed: 1))
        parameters.samplingSeed = 8
        #expect(parameters.samplingPlan(queryCount: 4000) == .random(queryCount: 4000, ratio: parameters.sampleRatio, seed: 8))
    }
}
