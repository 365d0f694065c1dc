import AttentionCore
import AttentionKernels
import AttentionTestSupport
import BoundVerification
import ErrorBounds
import Foundation
import HaystackModel
import LanguageModels
import ModelFormats
import SampleAttention
import Testing

/// All 48 heads of the bundled model, in a forward pass of its own kernel.
@Suite struct LayerVerificationTests {
    struct Outcome {
        var verifier: BoundVerifier
        var heads: [HeadBounds] = []
    }

    private func verify(
        _ kernel: AttentionKernel, tokens count: Int, bounds: [any OutputErrorBound] = StandardBounds.all
    ) throws -> Outcome {
        let model = try LanguageModel.load(from: HaystackModel.modelDirectory.path, kernel: kernel)
        let text = try String(contentsOf: HaystackModel.texts[1], encoding: .utf8)
        let tokens = Array(try model.promptTokens(for: String(text.prefix(6 * count))).prefix(count))
        let verification = LayerVerification(kernel: kernel, bounds: bounds)
        let workspace = AttentionWorkspace()
        var outcome = Outcome(verifier: BoundVerifier(bounds: bounds))
        var tap = AttentionTap { attention in
            let result = try verification.run(
                attention, parameters: Array(repeating: .standard, count: attention.inputs.shape.queryHeads), label: "real",
                workspace: workspace)
            outcome.verifier.merge(result.verifier)
            outcome.heads += result.heads
        }
        _ = try model.prefill(tokens, cache: model.makeCache(capacity: count), policy: .dense, observer: &tap)
        return outcome
    }

    @Test("every bound and the rounding allowance hold on real heads", arguments: KernelRoundingTests.all)
    func realHeads(index: KernelRoundingTests.Index) throws {
        let outcome = try verify(index.kernel, tokens: 200)
        #expect(outcome.verifier.holds, "\(outcome.verifier.brokenChecks.compactMap(\.violationDescription))")
        for check in outcome.verifier.checks {
            #expect(check.rows.checked == 48 * 200 * VerifiedPattern.names.count, "\(check.name)")
        }
        #expect(outcome.heads.count == 48)
        for head in outcome.heads {
            let used = try #require(head.kernelAllowanceUsed)
            #expect(0 < used && used <= 1)
        }
    }

    @Test("what is said of a head agrees with its own parts")
    func headBounds() throws {
        let heads = try verify(KernelRoundingTests.kernels[0], tokens: 150).heads
        for head in heads {
            let vacuity = try #require(head.vacuity)
            #expect(vacuity >= 1 && abs(vacuity * head.renormalisedError - head.bound) <= 1e-12 * head.bound)
            #expect(head.diameterIsExact && head.diameter <= head.diameterUpperBound && head.diameterUpperBound <= 2 * head.diameter)
            #expect(head.diameter <= 2 * head.radius)
            #expect(abs(head.bound - (1 - head.cumulativeResidualAttention) * head.diameter) < 1e-12 * head.diameter)
            #expect(head.alphas.map(\.share) == HeadBounds.shares)
            for demand in head.alphas {
                #expect(abs(demand.error - demand.share * head.meanOutputNorm) <= 1e-15)
                #expect(abs(demand.renormalised - max(0, 1 - demand.error / head.diameter)) < 1e-12)
                #expect(abs(demand.unrenormalised - max(0, 1 - demand.error / head.radius)) < 1e-12)
            }
            #expect(head.alphas[0].renormalised > head.alphas[2].renormalised)
        }
    }

    private func verify(_ layer: NaiveAttention, kernel: AttentionKernel) throws -> LayerVerification.Outcome {
        let shape = layer.shape
        let output = AlignedBuffer<Float>(count: shape.queryHeads * shape.queryCount * shape.headDimension)
        return try layer.withTensors { query, key, value in
            let inputs = LayerInputs(query: query, key: key, value: value)
            let target = MutableHeadTensor(
                projection: output.base, heads: shape.queryHeads, tokens: shape.queryCount, dimension: shape.headDimension)
            _ = try SampleAttentionOperator(kernel: kernel).attend(
                inputs, parameters: Array(repeating: .dense, count: shape.queryHeads), promptLength: shape.keyCount, output: target,
                workspace: AttentionWorkspace())
            return try LayerVerification(kernel: kernel).run(
                LayerAttention(layer: 4, inputs: inputs, output: target.readOnly),
                parameters: Array(repeating: .standard, count: inputs.shape.queryHeads), label: "made", workspace: AttentionWorkspace())
        }
    }

    @Test("a number that is not finite is refused, and layer, head and number are named")
    func brokenHeads() throws {
        let shape = AttentionShape(queryHeads: 4, keyValueHeads: 2, queryCount: 80, keyCount: 80, headDimension: 8)
        let layer = NaiveAttention(shape: shape, seed: 5)
        let faults: [(NaiveAttention, String)] = [
            (layer.with(brokenKey: 79), "layer 4, head 0, keys[79][0]: nan: "),
            (layer.with(brokenQuery: 3, head: 2, as: .infinity), "layer 4, head 2, queries[3][0]: inf: "),
            (layer.with(brokenValue: 40, as: -.infinity), "layer 4, head 2, values[40][7]: -inf: "),
        ]
        for (fault, place) in faults {
            let error = try #require(throws: InputError.self) { try verify(fault, kernel: KernelRoundingTests.kernels[0]) }
            #expect(error.code == .invalidData && error.description.hasPrefix(place), "\(error)")
        }
    }

    @Test("scores that overflow FP32 break the kernel's bounds, by every instruction set", arguments: KernelRoundingTests.all)
    func overflowingScores(index: KernelRoundingTests.Index) throws {
        let shape = AttentionShape(queryHeads: 1, keyValueHeads: 1, queryCount: 80, keyCount: 80, headDimension: 8)
        let layer = NaiveAttention(shape: shape, seed: 5)
        #expect(try verify(layer, kernel: index.kernel).verifier.holds)
        let verifier = try verify(layer.with(queriesAndKeysTimes: 1e20), kernel: index.kernel).verifier
        #expect(!verifier.holds)
        #expect(verifier.brokenChecks.map(\.name).contains("kernel-rounding"), "\(verifier.brokenChecks.map(\.name))")
    }

    @Test("a wrong bound is caught on real heads, and layer, head and pattern are named")
    func wrongBound() throws {
        let outcome = try verify(KernelRoundingTests.kernels.last!, tokens: 150, bounds: [Understated(factor: 0.2)])
        #expect(!outcome.verifier.holds)
        let broken = try #require(outcome.verifier.brokenChecks.first { $0.name == "kernel-understated" || $0.name == "understated" })
        let text = try #require(broken.violationDescription)
        #expect(text.contains("real, layer "))
        #expect(text.contains(", head ") && text.contains(": query "))
        #expect(VerifiedPattern.names.contains { text.contains($0) })
        #expect(outcome.verifier.checks.first { $0.name == "kernel-rounding" }!.violations == 0)
    }
}
