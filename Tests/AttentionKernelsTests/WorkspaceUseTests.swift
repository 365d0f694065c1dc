import AttentionCore
import AttentionKernels
import AttentionTestSupport
import Parallelism
import Testing

/// Everything that works in a workspace refuses one that is in use. A use that has not ended stands for a call on another thread.
@Suite struct WorkspaceUseTests {
    private static let shape = AttentionShape(queryHeads: 2, keyValueHeads: 1, queryCount: 8, keyCount: 8, headDimension: 4)
    private static let message = "an AttentionWorkspace was used by two calls at once"

    private enum Use {
        case run, accumulate, columnMasses, blockMasses, retainedMasses
    }

    private static func use(_ use: Use, _ workspace: AttentionWorkspace) throws {
        let kernel = try AttentionKernel(pool: WorkerPool(threads: 1))
        let output = AlignedBuffer<Float>(count: 2 * 8 * 4)
        let target = MutableHeadTensor(projection: output.base, heads: 2, tokens: 8, dimension: 4)
        let scores = SampledScores(kernel: kernel)
        try NaiveAttention(shape: shape, seed: 1).withTensors { query, key, value in
            switch use {
            case .run:
                let plan = try AttentionPlan(shape: shape, patterns: [.dense, .dense])
                kernel.run(plan, query: query, key: key, value: value, output: target, workspace: workspace)
            case .accumulate:
                kernel.accumulate(
                    [GatheredGroup(head: 0, queries: [1, 2], keys: [0, 1], rule: .all)], query: query, key: key, value: value,
                    into: GatheredSoftmax(shape: shape, output: target), workspace: workspace)
            case .columnMasses:
                _ = scores.columnMasses(query: query, key: key, shape: shape, requests: [(0, [3, 7], .all)], workspace: workspace)
            case .blockMasses:
                _ = scores.blockMasses(query: query, key: key, shape: shape, requests: [(0, [3, 7])], workspace: workspace)
            case .retainedMasses:
                _ = scores.retainedMasses(
                    query: query, key: key, shape: shape, requests: [(0, [3, 7], .dense)], workspace: workspace)
            }
        }
    }

    private static func useTwice(_ use: Use) throws {
        let workspace = AttentionWorkspace()
        try workspace.exclusively { try self.use(use, workspace) }
    }

    private static func expectRefused(_ result: ExitTest.Result?) throws {
        #expect(String(decoding: try #require(result).standardErrorContent, as: UTF8.self).contains(message))
    }

    @Test func oneAfterTheOtherIsFine() throws {
        let workspace = AttentionWorkspace()
        for use in [Use.run, .accumulate, .columnMasses, .blockMasses, .retainedMasses, .run] { try Self.use(use, workspace) }
    }

    @Test func twoRunsAtOnceStopTheProgram() async throws {
        try Self.expectRefused(
            await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) { try WorkspaceUseTests.useTwice(.run) })
    }

    @Test func groupsAtOnceStopTheProgram() async throws {
        try Self.expectRefused(
            await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) { try WorkspaceUseTests.useTwice(.accumulate) })
    }

    @Test func samplesAtOnceStopTheProgram() async throws {
        try Self.expectRefused(
            await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) { try WorkspaceUseTests.useTwice(.columnMasses) }
        )
        try Self.expectRefused(
            await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) { try WorkspaceUseTests.useTwice(.blockMasses) })
        try Self.expectRefused(
            await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                try WorkspaceUseTests.useTwice(.retainedMasses)
            }
        )
    }
}
