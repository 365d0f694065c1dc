import AttentionCore
import ErrorBounds
import Testing

@Suite struct OutputErrorBoundTests {
    @Test("valid bounds and both identities hold on random heads", arguments: 1...6 as ClosedRange<UInt64>)
    func randomHeads(seed: UInt64) {
        var verifier = BoundVerifier()
        for (name, head) in ErrorBoundsTests.randomHeads(seeds: seed...seed) {
            verifier.verify(head, keeping: patterns(keyCount: head.keyCount), label: name)
        }
        for check in verifier.checks where check.valid && !check.name.hasPrefix("kernel-") {
            #expect(check.violations == 0, "seed \(seed): \(check.name) at \(String(describing: check.firstViolation))")
            #expect(check.rows.checked > 900)
            #expect(check.maxRatio <= 1 + 1 / BoundTally.resolution)
        }
        for check in verifier.checks.prefix(3) { #expect(check.maxRatio > 0.2, "a bound this loose was not exercised") }
        #expect(verifier.holds)
    }

    @Test(
        "valid bounds hold on constructed heads, and where a head is made to be tight they are",
        arguments: AdversarialHeads.all.map(\.name))
    func adversarialHeads(name: String) throws {
        let made = try #require(AdversarialHeads.all.first { $0.name == name })
        var verifier = BoundVerifier()
        verifier.verify(made.head, keeping: [made.pattern], label: name)
        #expect(verifier.holds, "\(verifier.checks.compactMap(\.firstViolation))")
        for bound in made.tightFor {
            let check = try #require(verifier.checks.first { $0.name == bound })
            #expect(check.cases.maxRatio >= 0.99 && check.cases.maxRatio <= 1 + 1 / BoundTally.resolution, "\(bound)")
        }
    }

    @Test("each valid bound is tight on some head")
    func eachBoundIsTight() {
        let names = Set(AdversarialHeads.all.flatMap(\.tightFor))
        #expect(names == Set(StandardBounds.all.filter(\.valid).map(\.name)))
    }

    @Test("other patterns on constructed heads keep the bounds too", arguments: AdversarialHeads.all.map(\.name))
    func adversarialHeadsOtherPatterns(name: String) throws {
        let made = try #require(AdversarialHeads.all.first { $0.name == name })
        var verifier = BoundVerifier()
        verifier.verify(made.head, keeping: patterns(keyCount: made.head.keyCount), label: name)
        #expect(verifier.holds, "\(verifier.checks.compactMap(\.firstViolation))")
    }

    @Test("the factor-one reading breaks twofold on its counterexample, by arithmetic")
    func counterexampleByHand() {
        let example = RenormalisedFactorOneBound.counterexample
        let all = zip(example.probabilities, example.values).map { $0 * $1 }.reduce(0, +)
        let kept = zip(example.probabilities, example.kept).map { $1 ? $0 : 0 }
        let retained = kept.reduce(0, +)
        let renormalised = zip(kept, example.values).map { $0 * $1 }.reduce(0, +) / retained
        let claimed = (1 - retained) * example.values.map(abs).max()!
        #expect(abs(abs(all - renormalised) - 0.2) < 1e-15)
        #expect(abs(claimed - 0.1) < 1e-15)
    }

    @Test("… and is reported violated when the same example is run as attention")
    func counterexampleAsAttention() throws {
        let made = AdversarialHeads.factorOneCounterexample
        var verifier = BoundVerifier()
        let measured = verifier.verify(made.head, keeping: [made.pattern], label: "c")
        #expect(abs(measured[0].cumulativeResidualAttention - 0.9) < 1e-15)
        let check = try #require(verifier.checks.first { $0.name == "renormalised-factor-one" })
        #expect(!check.valid)
        #expect(check.cases.violations == 1 && check.rows.violations == 1)
        #expect(abs(check.maxRatio - 2) < 1e-12)
        #expect(check.firstViolation == RowLocation(label: "c", row: 1))
        #expect(verifier.holds, "a claim that is not valid may break")
    }

    /// A claim that is too small by a factor, declared valid.
    struct Understated: OutputErrorBound {
        let name = "understated"
        let valid = true
        let statement = "a constant times a valid bound"
        let output: OutputForm
        let factor: Double
        func errorPerDroppedMass(_ values: ValueExtent) -> Double {
            factor * (output == .renormalised ? values.diameter : values.radius)
        }
    }

    @Test(
        "a wrong bound is caught",
        arguments: [
            Understated(output: .renormalised, factor: 0.5), Understated(output: .renormalised, factor: 0.999),
            Understated(output: .unrenormalised, factor: 0.999),
        ])
    func wrongBound(bound: Understated) {
        var verifier = BoundVerifier(bounds: [bound])
        for made in AdversarialHeads.all { verifier.verify(made.head, keeping: [made.pattern], label: made.name) }
        #expect(verifier.checks[0].cases.violations > 0)
        #expect(verifier.checks[0].rows.violations > 0)
        #expect(!verifier.holds)
        #expect(verifier.checks[1].violations == 0, "the identities do not depend on the bound")
    }

    @Test("half the diameter is caught on random heads as well", arguments: 1...3 as ClosedRange<UInt64>)
    func wrongBoundOnRandomHeads(seed: UInt64) {
        var verifier = BoundVerifier(bounds: [Understated(output: .renormalised, factor: 0.5)])
        for (name, head) in ErrorBoundsTests.randomHeads(seeds: seed...seed) {
            verifier.verify(head, keeping: patterns(keyCount: head.keyCount), label: name)
        }
        #expect(verifier.checks[0].violations > 0, "seed \(seed)")
    }
}
