import AttentionCore
import AttentionKernels
import AttentionTestSupport
import Autotuning
import DurableFiles
import Foundation
import Parallelism
import RunProvenance
import SampleAttention
import Testing

@Suite struct LatencyModelTests {
    @Test func secondsAreTheSumOfCosts() {
        let shape = AttentionShape(queryHeads: 1, keyValueHeads: 1, queryCount: 640, keyCount: 640, headDimension: 64)
        let work = HeadWork(nil, pattern: .dense, shape: shape)
        let model = LatencyModel(
            machine: LatencyFixture.provenance().machine, headDimension: 64, secondsPerUnit: [.heads: 3, .laneBlocks: 0.5])
        #expect(model.seconds(work) == 8, "three for the head and a half for each of ten lane blocks")
        #expect(model.seconds([work, work, work]) == 24)
        #expect(model.seconds([HeadWork]()) == 0)
        #expect(HeadWork.Term.densePairs.operations(headDimension: 64) == 256)
        #expect(HeadWork.Term.quantizedProducts.operations(headDimension: 64) == 2)
        #expect(HeadWork.Term.heads.operations(headDimension: 64) == nil)
    }

    @Test func aFitFindsTheCostsThatMadeTheTimes() throws {
        let samples = try LatencyFixture.samples(LatencyFixture.costs)
        let heldOut = LatencyFit.heldOut(samples.map(\.setting), seed: 3)
        let fit = LatencyFit(samples, heldOut: heldOut)
        #expect(fit.residuals.allSatisfy { abs($0.relativeError) < 1e-6 }, "\(fit.residuals.map(\.relativeError))")
        #expect(fit.residuals.indices.allSatisfy { fit.residuals[$0].isHeldOut == heldOut.contains($0) })
        #expect(fit.secondsPerUnit.values.allSatisfy { $0 >= 0 } && fit.secondsPerUnit.count == HeadWork.Term.allCases.count)
    }

    /// Key blocks are scored in all coordinates and in half of them, so that what pairs cost is told from what products do.
    @Test func productsInEightBitsAreToldFromTheirPairs() throws {
        let fit = LatencyFit(try LatencyFixture.samples(LatencyFixture.costs), heldOut: [])
        for term in [HeadWork.Term.quantizedPairs, .quantizedProducts] {
            let cost = try #require(LatencyFixture.costs[term])
            #expect(abs(try #require(fit.secondsPerUnit[term]) / cost - 1) < 1e-3, "\(term)")
        }
        let settings = CalibrationSetting.design(length: 1024, heads: 2, seed: 1).filter { $0.kind == .keyBlocks }
        #expect(settings.map(\.parameters.scoredDimensions.value) == [1, 0.5, 1])
    }

    /// What is held out has no say: its times can be anything.
    @Test func heldOutLayersHaveNoSay() throws {
        let samples = try LatencyFixture.samples(LatencyFixture.costs, noise: 0.1)
        let heldOut = LatencyFit.heldOut(samples.map(\.setting), seed: 3)
        let changed = samples.enumerated().map { index, sample in
            LatencySample(setting: sample.setting, work: sample.work, seconds: heldOut.contains(index) ? 100 : sample.seconds)
        }
        #expect(LatencyFit(samples, heldOut: heldOut).secondsPerUnit == LatencyFit(changed, heldOut: heldOut).secondsPerUnit)
        #expect(LatencyFit(samples, heldOut: []).secondsPerUnit != LatencyFit(samples, heldOut: heldOut).secondsPerUnit)
    }

    @Test func aQuarterOfEachKindIsHeldOut() {
        let settings = [512, 1024, 2048, 4096].flatMap { CalibrationSetting.design(length: $0, heads: 2, seed: 1) }
        let heldOut = LatencyFit.heldOut(settings, seed: 1)
        for kind in CalibrationSetting.Kind.allCases {
            let own = settings.indices.filter { settings[$0].kind == kind }
            #expect(own.count { heldOut.contains($0) } == own.count / 4, "\(kind)")
        }
        #expect(heldOut == LatencyFit.heldOut(settings, seed: 1) && heldOut != LatencyFit.heldOut(settings, seed: 2))
    }

    @Test func errorsAreSharesOfTheMeasured() throws {
        func residual(_ measured: Double, _ predicted: Double) -> LatencyFile.Residual {
            .init(
                kind: "dense", configuration: "", length: 1, heads: 1, isHeldOut: false, measuredSeconds: measured,
                predictedSeconds: predicted, work: [:])
        }
        #expect(LatencyFit.meanAbsolutePercentageError([residual(2, 3), residual(4, 3)]) == 0.375)
        #expect(LatencyFit.meanAbsolutePercentageError([]) == 0)
        let noisy = try LatencyFixture.file(noise: 0.1)
        let errors = noisy.residuals.filter(\.isHeldOut).map { abs($0.predictedSeconds - $0.measuredSeconds) / $0.measuredSeconds }
        #expect(abs(noisy.meanAbsolutePercentageError - errors.reduce(0, +) / Double(errors.count)) < 1e-12)
        #expect(noisy.meanAbsolutePercentageError > 0.01)
    }

    @Test func crossoversNeedEveryLongerLength() {
        func denseBelow(_ sparse: [Double]) -> Int? {
            DenseCrossover(setting: "", lengths: [256, 512, 1024], denseSeconds: [1, 2, 3], sparseSeconds: sparse).denseBelow
        }
        #expect(denseBelow([2, 3, 4]) == nil)
        #expect(denseBelow([2, 3, 3]) == 1024)
        #expect(denseBelow([0.5, 3, 2]) == 1024, "winning early does not count")
        #expect(denseBelow([2, 1, 2]) == 512)
        #expect(denseBelow([1, 1, 1]) == 256)
    }

    @Test func crossoversTakeMediansInTurn() throws {
        var calls: [Bool] = []
        let times = [true: [5.0, 1, 2], false: [9.0, 4, 1]]
        let crossover = try DenseCrossover.measure("own", lengths: [512], rounds: 3) { _, isDense in
            calls.append(isDense)
            return times[isDense]![calls.count { $0 == isDense } - 1]
        }
        #expect(calls == [true, false, true, false, true, false])
        #expect(crossover.denseSeconds == [2] && crossover.sparseSeconds == [4] && crossover.denseBelow == nil)
    }

    /// Real layers, too small to say anything about speed: every part runs, and what comes out is whole.
    @Test func calibratesEndToEnd() throws {
        let kernel = try AttentionKernel(pool: WorkerPool(threads: 2))
        let calibration = try Calibration(kernel: kernel, headDimension: 16, lengths: [96, 160, 256], mostSeconds: 1e-9, seed: 4)
        var steps: [(done: Int, total: Int)] = []
        let file = try calibration.run(provenance: LatencyFixture.provenance()) { done, total, _ in steps.append((done, total)) }
        #expect(file.provenance.lengths == [96, 160, 256] && file.headDimension == 16)
        #expect(file.residuals.count == 13 + 14 + 14, "\(file.residuals.map(\.configuration))")
        #expect(file.residuals.allSatisfy { $0.measuredSeconds > 0 && $0.predictedSeconds >= 0 })
        #expect(file.model.secondsPerUnit.values.contains { $0 > 0 })
        #expect(file.crossovers.map(\.setting) == ["window", "sampled"] && file.crossovers[0].lengths == [96, 160, 256])
        #expect(zip(steps, steps.dropFirst()).allSatisfy { $0.done <= $1.done } && steps.allSatisfy { $0.done <= $0.total })
        for kind in CalibrationSetting.Kind.allCases { #expect(file.residuals.contains { $0.kind == kind.rawValue }) }
        #expect(file.residuals.first { $0.kind == "stripes" }?.work["sampledPairs"] ?? 0 > 0)
        // The widest windows of short layers leave nothing to score.
        #expect(
            file.residuals.contains {
                $0.kind == "keyBlocks" && $0.work["quantizedPairs"] ?? 0 > 0 && $0.work["quantizedProducts"] ?? 0 > 0
            })
        #expect(file.residuals.contains { $0.configuration.hasSuffix(", scored in 0.5 of the coordinates") })
        #expect(file.residuals.first { $0.kind == "certified" }?.work["certifiedPairs"] ?? 0 > 0)
    }

    /// Lengths that would take long are left out, the shortest three never.
    @Test func slowMachinesMeasureShorterLayers() throws {
        let kernel = try AttentionKernel(pool: WorkerPool(threads: 1))
        func lengths(_ seconds: Double) throws -> [Int] {
            try Calibration(kernel: kernel, headDimension: 8, lengths: [16, 32, 64, 128, 1 << 30], mostSeconds: seconds).lengths
        }
        #expect(try lengths(0) == [16, 32, 64])
        #expect(try lengths(600) == [16, 32, 64, 128])
    }
}
