import AttentionCore
import AttentionKernels
import AttentionTestSupport
import ErrorBounds
import Foundation
import Parallelism
import SampleAttention
import Testing

/// Certificates of whole operator calls, against masses computed from the definition.
@Suite struct CertificateTests {
    /// Repetitions of what a confidence is about. Debug builds are there for their checks, and some fifty times slower.
    static let trials: Int = {
        #if DEBUG
            200
        #else
            2000
        #endif
    }()

    /// What a failure probability of 10 % allows, with five standard deviations on top.
    static let mostMisses = Int(Double(trials) * 0.1 + 5 * (Double(trials) * 0.1 * 0.9).squareRoot())

    /// One head of each kind whose strata are treated apart.
    static func mixedHeads() throws -> [SampleAttentionParameters] {
        var aware = SampleAttentionParameters(alpha: try Fraction(0.7), window: .tokens(20), sampleRatio: try Fraction(0.1))
        aware.denseLastRows = 0
        var tail = aware
        tail.denseLastRows = 100
        var paper = tail
        paper.columnScoring = .allMass
        var lines = aware
        lines.pattern = .columnSlash
        lines.alpha = try Fraction(0.4)
        lines.denseLastRows = 30
        return [aware, tail, paper, lines]
    }

    /// Over 2,000 repetitions: the estimate is right on average, and the bounds fail no more often than stated, in the rows that were
    /// drawn from and in the head as a whole.
    @Test func boundsHoldAsOftenAsStated() throws {
        let layer = try CertifiedLayer(queries: 400, cached: 60, Self.mixedHeads())
        let patterns = layer.patterns(layer.parameters)
        let trials = Self.trials
        let all = try (0..<trials).map { try layer.certificates(Certification(rows: 40, confidence: 0.9, seed: UInt64($0))) }
        for head in layer.parameters.indices {
            let masses = layer.masses(head, patterns[head])
            let alpha = layer.parameters[head].alpha.value
            let unseen = layer.unseen(head).map { masses[$0] }
            let certificates = all.map { $0[head] }
            let drawn = certificates.compactMap(\.unseen)
            #expect(drawn.allSatisfy { $0.count == unseen.count && $0.drawn == 40 } && drawn.count == trials)

            let truth = (mean: mean(unseen), share: share(unseen, alpha), all: mean(masses), allShare: share(masses, alpha))
            // Masses come from FP32 and the truth does not.
            let rounding = 1e-5
            let misses = [
                "mean": drawn.count { $0.meanLowerBound > truth.mean + rounding },
                "Bernstein": drawn.count { $0.meanBernsteinBound > truth.mean + rounding },
                "share": drawn.count { $0.shareLowerBound > truth.share + rounding },
                "head's mean": certificates.count { $0.meanLowerBound > truth.all + rounding },
                "head's share": certificates.count { $0.shareLowerBound > truth.allShare + rounding },
            ]
            for (name, count) in misses { #expect(count <= Self.mostMisses, "head \(head): \(name) missed \(count) of \(trials)") }

            let spread = (mean(unseen.map { ($0 - truth.mean) * ($0 - truth.mean) }) / 40 / Double(trials)).squareRoot()
            #expect(abs(mean(drawn.map(\.meanMass)) - truth.mean) < 5 * spread + rounding, "head \(head)")
            let shareSpread = (truth.share * (1 - truth.share) / 40 / Double(trials)).squareRoot()
            #expect(abs(mean(drawn.map(\.share)) - truth.share) < 5 * shareSpread + rounding, "head \(head)")
            let estimate = mean(certificates.map(\.meanMass))
            // Only head 0 knows the sum of the scored rows exactly.
            #expect(estimate < truth.all + 5 * spread + rounding, "head \(head): \(estimate) for \(truth.all)")
            #expect(head > 0 || estimate > truth.all - 5 * spread - rounding, "\(estimate) for \(truth.all)")
        }
    }

    /// The bound of the head as it ends up, after up to two looks, is wrong no more often than stated.
    @Test func boundsHoldAfterEscalation() throws {
        var parameters = SampleAttentionParameters(alpha: try Fraction(0.7), window: .tokens(20), sampleRatio: try Fraction(0.1))
        parameters.denseLastRows = 0
        let layer = try CertifiedLayer(queries: 400, [parameters, parameters])
        var raised = parameters
        raised.alpha = try Fraction(1 - (1 - 0.7) / 4)
        let selected = layer.patterns(layer.parameters)
        let escalated = layer.patterns([raised, raised])
        let means = layer.parameters.indices.map {
            [.none: mean(layer.masses($0, selected[$0])), .columns: mean(layer.masses($0, escalated[$0])), .dense: 1]
                as [Certificate.Escalation: Double]
        }
        // What the first look passes by luck, and the second nearly always.
        let minimum = try Fraction(means.map { $0[.none]! }.max()! - 0.02)
        var counts: [Certificate.Escalation: Int] = [:]
        var misses = [0, 0]
        for seed in 0..<Self.trials {
            let certification = try Certification(rows: 60, confidence: 0.9, minimumMass: minimum, seed: UInt64(seed))
            for (head, certificate) in try layer.certificates(certification).enumerated() {
                counts[certificate.escalation, default: 0] += 1
                if certificate.meanLowerBound > means[head][certificate.escalation]! + 1e-5 { misses[head] += 1 }
                #expect(certificate.meanLowerBound >= minimum.value)
            }
        }
        #expect(misses.allSatisfy { $0 <= Self.mostMisses }, "\(misses)")
        #expect(counts[.none, default: 0] > Self.trials / 100 && counts[.columns, default: 0] > Self.trials / 10, "\(counts)")
    }

    /// A fixed count is no share to raise: the second look has 64 columns more.
    @Test func aFixedCountOfColumnsEscalates() throws {
        var parameters = SampleAttentionParameters(alpha: try Fraction(0.7), window: .tokens(20), sampleRatio: try Fraction(0.1))
        parameters.denseLastRows = 0
        parameters.columnCount = 10
        var more = parameters
        more.columnCount = 74
        let layer = try CertifiedLayer(queries: 400, [parameters, parameters])
        let (few, many) = (layer.patterns(layer.parameters), layer.patterns([more, more]))
        #expect(few.allSatisfy { $0.parts.columns.count == 10 } && many.allSatisfy { $0.parts.columns.count == 74 })
        // All unseen rows are drawn, so what the bounds have to pass is the mass itself.
        let minimum = try Fraction((0..<2).map { mean(layer.masses($0, few[$0])) }.max()! + 0.01)
        let report = try layer.attend(Certification(rows: 400, minimumMass: minimum)).report
        #expect(report.certificates?.map(\.escalation) == [.columns, .columns])
        #expect(report.keptPairs == many.map { $0.keptPairs(layer.shape) })
    }

    /// Key blocks are no share either: the second look has twice as many of them, and no row is known before rows are drawn.
    @Test func keyBlocksEscalate() throws {
        var parameters = SampleAttentionParameters.keyBlocks(count: 2, window: 20, sinks: 2)
        parameters.keyBlockTokens = 16
        parameters.denseLastRows = 0
        var more = parameters
        more.keyBlockCount = 4
        let layer = try CertifiedLayer(queries: 400, [parameters, parameters])
        let (few, many) = (layer.patterns(layer.parameters), layer.patterns([more, more]))
        // All rows are drawn, so what the bounds have to pass is the mass itself.
        let minimum = try Fraction((0..<2).map { mean(layer.masses($0, few[$0])) }.max()! + 0.01)
        let report = try layer.attend(Certification(rows: 400, minimumMass: minimum)).report
        #expect(report.certificates?.map(\.escalation) == [.columns, .columns] && report.patterns == many)
        let masses = (0..<2).map { mean(layer.masses($0, many[$0])) }
        for (certificate, mass) in zip(report.certificates ?? [], masses) {
            #expect(certificate.isExact && abs(certificate.meanMass - mass) < 1e-5)
        }
        var window = parameters
        window.pattern = .window
        let strict = try Certification(rows: 30, minimumMass: Fraction(0.95))
        let needed = strict.rowsNeeded(parameters, queries: 0..<400, promptLength: 400)
        #expect(needed != nil && needed == strict.rowsNeeded(window, queries: 0..<400, promptLength: 400))
    }

    /// A window that misses the least mass has no columns to add: it is dense at once, and one that meets it stays.
    @Test func windowsAreCertifiedAndEscalateToEverything() throws {
        var narrow = SampleAttentionParameters.window(tokens: 8, sinks: 0), wide = SampleAttentionParameters.window(tokens: 900, sinks: 0)
        (narrow.denseLastRows, wide.denseLastRows) = (0, 0)
        let layer = try CertifiedLayer(queries: 900, [narrow, wide])
        let looked = try layer.certificates(try Certification())
        #expect(looked[0].escalation == .none && looked[0].meanLowerBound < 0.9 && looked[1].meanLowerBound > 0.9)
        let asked = try layer.certificates(try Certification(minimumMass: Fraction(0.9)))
        #expect(asked[0].escalation == .dense && asked[0].meanLowerBound == 1)
        #expect(asked[1].escalation == .none)
    }

    @Test func aLeastMassOutOfReachIsDenseAttention() throws {
        let layer = try CertifiedLayer(queries: 500, Self.mixedHeads())
        let dense = try CertifiedLayer(queries: 500, Array(repeating: .dense, count: 4)).attend(nil)
        for rows in [64, 300] {
            let result = try layer.attend(Certification(rows: rows, minimumMass: try Fraction(0.9999)))
            for certificate in try #require(result.report.certificates) {
                #expect(certificate.isDense && certificate.isExact && certificate.escalation == .dense)
                #expect(certificate.meanLowerBound == 1 && certificate.meanErrorBound == 0 && certificate.shareLowerBound == 1)
                #expect(certificate.unseen == nil && certificate.rows == 500 && certificate.denseRows == 500)
            }
            #expect(result.report.density == 1)
            let isDenseOutput = result.output == dense.output
            #expect(isDenseOutput)
        }
    }

    /// Only the heads that miss are changed; what passes runs as if nothing had been asked.
    @Test func headsThatPassStayAsTheyAre() throws {
        let layer = try CertifiedLayer(queries: 500, Self.mixedHeads())
        let plain = try layer.attend(nil)
        #expect(plain.report.certificates == nil && plain.report.certificateSeconds == 0)
        let certified = try layer.attend(Certification(rows: 64))
        let isSameOutput = certified.output == plain.output
        #expect(isSameOutput && certified.report.keptPairs == plain.report.keptPairs)

        let bounds = try layer.certificates(Certification(rows: 64, confidence: 0.9)).map(\.meanLowerBound)
        let least = bounds.sorted()[1]
        let some = try layer.attend(Certification(rows: 64, confidence: 0.8, minimumMass: try Fraction(least + 1e-6)))
        for (head, certificate) in try #require(some.report.certificates).enumerated() {
            let passes = bounds[head] > least
            #expect((certificate.escalation == .none) == passes, "head \(head)")
            #expect((some.report.keptPairs[head] == plain.report.keptPairs[head]) == passes, "head \(head)")
            #expect(certificate.meanLowerBound > least)
        }
    }

    /// With as many draws as there are rows nothing is drawn: all are read.
    @Test func fewRowsAreReadWhole() throws {
        let layer = try CertifiedLayer(queries: 300, Self.mixedHeads())
        let patterns = layer.patterns(layer.parameters)
        for (head, certificate) in try layer.certificates(Certification(rows: 300)).enumerated() {
            let masses = layer.masses(head, patterns[head])
            let unseen = layer.unseen(head).map { masses[$0] }
            let found = try #require(certificate.unseen)
            #expect(certificate.isExact && !certificate.isDense && found.drawn == unseen.count)
            #expect(abs(found.meanMass - mean(unseen)) < 1e-5 && found.meanLowerBound == found.meanMass)
            #expect(abs(found.leastMass - unseen.min()!) < 1e-5 && found.shareLowerBound == found.share)
            #expect(certificate.meanLowerBound <= mean(masses) + 1e-5)
            #expect(head > 0 || abs(certificate.meanMass - mean(masses)) < 1e-5)
        }
    }

    /// What follows for the output: measured errors are within the bounds that the exact masses give.
    @Test func errorBoundsHold() throws {
        let layer = try CertifiedLayer(queries: 300, Self.mixedHeads())
        let dense = try CertifiedLayer(queries: 300, Array(repeating: .dense, count: 4)).attend(nil).output
        let result = try layer.attend(Certification(rows: 300))
        let d = layer.shape.headDimension
        for (head, certificate) in try #require(result.report.certificates).enumerated() {
            let errors = (0..<layer.shape.queryCount).map { row in
                (0..<d).reduce(0.0) {
                    let index = (row * layer.shape.queryHeads + head) * d + $1
                    return $0 + Double(abs(result.output[index] - dense[index]))
                }
            }
            #expect(mean(errors) <= certificate.meanErrorBound && certificate.meanErrorBound > 0)
            #expect(certificate.meanErrorBound == (1 - certificate.meanLowerBound) * certificate.valueDiameter)
            let within = errors.count { $0 <= certificate.rowErrorBound }
            #expect(Double(within) >= certificate.shareLowerBound * Double(errors.count))
        }
    }

    @Test func drawsFollowTheSeed() throws {
        let parameters = try Self.mixedHeads()[0]
        let layer = try CertifiedLayer(queries: 500, [parameters, parameters])
        let certification = try Certification(rows: 50, seed: 3)
        let first = try layer.certificates(certification)
        #expect(try layer.certificates(certification) == first)
        for other in [try Certification(rows: 50, seed: 4), certification.seeded(layer: 0), certification.seeded(layer: 1)] {
            #expect(try layer.certificates(other) != first)
        }
        #expect(certification.seeded(layer: 0) != certification.seeded(layer: 1))
    }

    @Test func certificationRefusesWhatPromisesNothing() {
        for rows in [-1, 0, 1] { #expect(throws: InputError.self) { try Certification(rows: rows) } }
        // 1 − 1e-17 is 1, and no bound fails with certainty.
        for confidence in [0, 1, -0.5, 1.5, Double.nan, 1e-17] {
            #expect(throws: InputError.self) { try Certification(confidence: confidence) }
        }
    }

    @Test func theSmallestConfidenceIsStillOne() throws {
        let certification = try Certification(rows: 50, confidence: 0x1p-53)
        #expect(
            try CertifiedLayer(queries: 500, Self.mixedHeads()).certificates(certification).allSatisfy {
                (0...1).contains($0.meanLowerBound)
            })
    }

    /// One row fewer cannot pass, the rows needed can, and so says the certifier.
    @Test(arguments: [0.95, 0.99, 0.997, 1]) func rowsNeededAreThoseThatCanPass(_ least: Double) throws {
        var parameters = SampleAttentionParameters.standard
        let minimum = try Fraction(least)
        func needed(_ rows: Int) throws -> Int? {
            try Certification(rows: rows, minimumMass: minimum).rowsNeeded(parameters, queries: 0..<3000, promptLength: 3000)
        }
        let enough = try #require(try needed(20))
        #expect(try needed(enough) == nil && needed(enough - enough / 64 - 2) != nil)
        parameters.pattern = .dense
        #expect(try needed(20) == nil)
        #expect(try Certification(rows: 20).rowsNeeded(.standard, queries: 0..<3000, promptLength: 3000) == nil)
    }

    @Test func certificatesSurviveJSON() throws {
        let certificates = try CertifiedLayer(queries: 500, Self.mixedHeads()).certificates(Certification(rows: 50))
        #expect(try JSONDecoder().decode([Certificate].self, from: JSONEncoder().encode(certificates)) == certificates)
    }

    /// The same upper bound as the double-precision one, a hair above it.
    @Test(arguments: [1, 5, 8, 9, 16, 64, 100])
    func valueDiametersAreUpperBounds(_ dimension: Int) throws {
        let shape = AttentionShape(queryHeads: 2, keyValueHeads: 2, queryCount: 90, keyCount: 90, headDimension: dimension)
        try NaiveAttention(shape: shape, seed: UInt64(dimension)).withTensors { query, key, value in
            let bounds = ValueDiameter.upperBounds(LayerInputs(query: query, key: key, value: value), pool: WorkerPool(threads: 2))
            let radii = ValueDiameter.bounds(LayerInputs(query: query, key: key, value: value), pool: WorkerPool(threads: 2)).map(\.radius)
            for head in 0..<2 {
                let own = try AttentionHead(queryHead: head, shape: shape, queries: query, keys: key, values: value)
                let upper = ValueExtent(of: own, exactDiameterTokens: 0).diameter
                #expect(bounds[head] >= upper && bounds[head] < upper * (1 + 1e-4))
                #expect(bounds[head] >= ValueExtent(of: own).diameter)
                let radius = ValueExtent(of: own).radius
                #expect(radii[head] >= radius && radii[head] < radius * (1 + 1e-4))
            }
        }
    }

    private func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }
    private func share(_ values: [Double], _ alpha: Double) -> Double { Double(values.count { $0 >= alpha }) / Double(values.count) }
}
