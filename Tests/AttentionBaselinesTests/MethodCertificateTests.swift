import AttentionBaselines
import AttentionCore
import AttentionKernels
import AttentionTestSupport
import SampleAttention
import Testing

/// Certificates of methods other than SampleAttention, against masses computed from the definition.
@Suite struct MethodCertificateTests {
    static let methods: [any PatternMethod] = [
        BigBird(seed: 3), StreamingLLM(), VerticalSlash(), FlexPrefill(budget: .density(try! Fraction(0.3))), XAttention(),
        DensityStripes(parameters: .standard, density: try! Fraction(0.3)),
        DensityStripes(parameters: .paperV3, density: try! Fraction(0.3)),
        SharedSelection(.group), Quest(budget: .density(try! Fraction(0.3))),
        DensityStripes(parameters: .keyBlocks(), density: try! Fraction(0.3)),
    ]

    /// The mean over rows of the exact mass that a head's pattern retains.
    private func exactMean(_ pattern: SparsePattern, head: Int, _ fixture: Fixture) -> Double {
        let rows = 0..<fixture.shape.queryCount
        return rows.reduce(0) { sum, row in
            let probabilities = fixture.oracle.probabilities(head: head, row: row)
            return sum + fixture.kept(pattern, position: fixture.shape.firstPosition + row).reduce(0) { $0 + probabilities[$1] }
        } / Double(rows.count)
    }

    @Test(arguments: methods.indices) func aCensusFindsTheExactMean(_ index: Int) throws {
        let fixture = Fixture(queries: 300, keys: 420)
        let (report, _) = try fixture.certify(Self.methods[index], Certification(rows: 300))
        let certificates = try #require(report.certificates)
        #expect(certificates.count == fixture.shape.queryHeads)
        for (head, certificate) in certificates.enumerated() {
            let exact = exactMean(report.patterns[head], head: head, fixture)
            #expect(certificate.isExact && abs(certificate.meanMass - exact) < 1e-4, "head \(head)")
            #expect(certificate.alpha == Certification.standardAlpha && certificate.scoredRows == 0)
        }
    }

    /// A lower bound that is wrong with a probability of 10 % is wrong in at most so many of 300 draws, with five standard deviations on top.
    @Test func boundsFailAsRarelyAsTheySay() throws {
        let fixture = Fixture(queries: 300)
        let patterns = try fixture.patterns(StreamingLLM())
        let exact = patterns.indices.map { exactMean(patterns[$0], head: $0, fixture) }
        var misses = 0
        let trials = 300 / patterns.count
        for seed in 0..<trials {
            let certificates = try fixture.certify(
                StreamingLLM(), Certification(rows: 40, confidence: 0.9, seed: UInt64(seed))
            ).report.certificates!
            #expect(certificates.allSatisfy { !$0.isExact && $0.meanLowerBound < $0.meanMass })
            misses += zip(certificates, exact).count { $0.meanLowerBound > $1 }
        }
        let count = Double(trials * patterns.count)
        #expect(Double(misses) <= 0.1 * count + 5 * (0.09 * count).squareRoot())
    }

    @Test func headsThatMissTheLeastMassAttendToEverything() throws {
        let fixture = Fixture(queries: 300)
        let dense = try fixture.certify(DensityStripes(parameters: .standard, density: try Fraction(1)), nil).output
        let (report, output) = try fixture.certify(StreamingLLM(), Certification(rows: 300, minimumMass: try Fraction(0.999)))
        #expect(report.certificates!.allSatisfy { $0.escalation == .dense && $0.isDense && $0.meanLowerBound == 1 })
        #expect(report.density == 1 && report.sampledMass.allSatisfy { $0 == 1 })
        #expect(zip(output, dense).allSatisfy { abs($0 - $1) < 1e-4 })
        let (kept, _) = try fixture.certify(StreamingLLM(), Certification(rows: 300, minimumMass: try Fraction(1e-6)))
        #expect(kept.certificates!.allSatisfy { $0.escalation == .none } && kept.density < 1)
    }

    @Test func onlyPatternsAreCertified() {
        for system in AttentionSystem.allCases {
            let policy = AttentionPolicy(name: system.rawValue, method: system.method(seed: 1))
            #expect(policy.canCertify == ![.hashSparse, .hyperAttention, .moba].contains(system))
            #expect(!policy.isSampleAttention)
        }
        #expect(AttentionPolicy.dense.canCertify && AttentionPolicy.dense.isSampleAttention)
    }
}
