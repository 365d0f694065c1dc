import AttentionCore
import ErrorBounds
import Foundation
import Testing

@Suite struct BoundVerifierTests {
    private let extent = ValueExtent(radius: 1, diameter: 2, diameterIsExact: true)

    private func measurement(_ change: (inout RowErrors) -> Void) -> MaskMeasurement {
        var row = RowErrors(
            row: 3, causalKeys: 4, keptKeys: 2, mass: (retained: 0.75, dropped: 0.25),
            error: (unrenormalised: 0.25, renormalised: 0.5), residual: (unrenormalised: 0, renormalised: 0), outputNorm: 1)
        change(&row)
        return MaskMeasurement(label: "doctored", rows: [row], values: extent, valueDimension: 2)
    }

    private func violated(_ change: (inout RowErrors) -> Void) -> [String] {
        var verifier = BoundVerifier()
        verifier.check(measurement(change))
        return verifier.checks.filter { $0.valid && $0.violations > 0 }.map(\.name)
    }

    @Test("a row exactly at every bound passes; one a little above is caught by the bound it breaks")
    func limits() {
        #expect(violated { _ in } == [])
        #expect(violated { $0.unrenormalisedError = 0.25 + 1e-12 } == ["unrenormalised"])
        #expect(violated { $0.renormalisedError = 0.5 + 1e-12 } == ["renormalised-radius", "renormalised-diameter"])
    }

    @Test("a row is held to its own dropped mass, not only to the head's largest")
    func rowForm() {
        let large = measurement { $0.row = 0 }.rows[0]
        let small = measurement {
            $0.droppedMass = 0.1
            $0.unrenormalisedError = 0.2
        }.rows[0]
        var verifier = BoundVerifier()
        verifier.check(MaskMeasurement(label: "two rows", rows: [large, small], values: extent, valueDimension: 2))
        #expect(verifier.checks[0].cases.violations == 0)
        #expect(verifier.checks[0].rows.violations == 1)
        #expect(verifier.checks[0].firstViolation == RowLocation(label: "two rows", row: 3))
        #expect(verifier.checks[0].worst == RowLocation(label: "two rows", row: 3))
    }

    @Test("a residual of an identity is caught")
    func residuals() {
        #expect(violated { $0.unrenormalisedResidual = 1e-12 } == ["identity-unrenormalised"])
        #expect(violated { $0.renormalisedResidual = 1e-12 } == ["identity-renormalised"])
    }

    @Test("NaN is a violation, not a pass")
    func notANumber() {
        #expect(violated { $0.unrenormalisedError = .nan } == ["unrenormalised"])
        #expect(violated { $0.renormalisedResidual = .nan } == ["identity-renormalised"])
    }

    @Test("a kernel's row is held to its allowance, and to each bound with the allowance added")
    func kernelRows() {
        func violated(_ kernel: KernelRowErrors) -> [String] {
            let exact = measurement { _ in }
            var verifier = BoundVerifier()
            verifier.check(
                MaskMeasurement(label: "kernel", rows: exact.rows, kernelRows: [kernel], values: extent, valueDimension: 2))
            return verifier.brokenChecks.map(\.name)
        }
        let limit = KernelRowErrors(row: 3, error: 0.6, deviation: 0.1, allowance: 0.1)
        func changed(_ change: (inout KernelRowErrors) -> Void) -> KernelRowErrors {
            var row = limit
            change(&row)
            return row
        }
        let bounds = ["kernel-renormalised-radius", "kernel-renormalised-diameter"]
        #expect(violated(limit) == [])
        #expect(violated(changed { $0.deviation += 1e-12 }) == ["kernel-rounding"])
        #expect(violated(changed { $0.error += 1e-12 }) == bounds)
        #expect(violated(changed { $0.deviation = .nan }) == ["kernel-rounding"])
        #expect(violated(changed { $0.error = .nan }) == bounds)
        let overflow = KernelRowErrors(row: 3, error: .infinity, deviation: .infinity, allowance: .infinity)
        #expect(violated(overflow) == ["kernel-rounding"] + bounds, "infinite is wrong even where nothing is promised")
    }

    @Test("a broken theorem says which, where and how often, in one line")
    func violationDescription() throws {
        var verifier = BoundVerifier()
        verifier.check(measurement { $0.renormalisedResidual = 1 })
        let check = try #require(verifier.brokenChecks.first)
        let text = try #require(check.violationDescription)
        #expect(text.hasPrefix("identity-renormalised: doctored: query 3: 1 of 1 checks broken: "))
        #expect(!text.contains("\n"))
        #expect(verifier.checks[0].violationDescription == nil)
    }

    @Test("where nothing is dropped the error must be rounding")
    func zeroBound() {
        let all: (inout RowErrors) -> Void = {
            $0.droppedMass = 0
            $0.unrenormalisedError = 1e-16
            $0.renormalisedError = 1e-16
        }
        #expect(violated(all) == [])
        #expect(
            violated {
                all(&$0); $0.renormalisedError = 1e-9
            } == ["renormalised-radius", "renormalised-diameter"])
        var verifier = BoundVerifier()
        verifier.check(measurement(all))
        #expect(verifier.checks[0].maxRatio == 0 && verifier.checks[0].checked == 2)
    }

    @Test("merging parts gives what one verifier gives")
    func merging() throws {
        let heads = randomHeads(seeds: 21...22)
        var whole = BoundVerifier()
        var merged = BoundVerifier()
        for (name, head) in heads {
            let masks = patterns(keyCount: head.keyCount)
            whole.verify(head, keeping: masks, label: name)
            var part = BoundVerifier()
            part.verify(head, keeping: masks, label: name)
            merged.merge(part)
        }
        #expect(merged.checks == whole.checks)
        #expect(whole.checks[0].cases.checked == heads.count * 7)
        #expect(whole.checks[0].rows.checked == heads.reduce(0) { $0 + $1.head.queryCount } * 7)
    }

    @Test("a verifier that checked nothing does not hold")
    func empty() { #expect(!BoundVerifier().holds) }

    @Test("checks encode to the keys a reader relies on, also when a claim broke")
    func json() throws {
        let made = AdversarialHeads.factorOneCounterexample
        var verifier = BoundVerifier()
        verifier.verify(made.head, keeping: [made.pattern], label: made.name)
        struct Entry: Decodable {
            struct Place: Decodable, Equatable { let label: String, row: Int }
            let name: String, valid: Bool, checked: Int, violations: Int, maxRatio: Double
            let firstViolation: Place?
        }
        let entries = try JSONDecoder().decode([Entry].self, from: JSONEncoder().encode(verifier.checks))
        #expect(entries.count == 9)
        for (entry, check) in zip(entries, verifier.checks) {
            #expect(entry.name == check.name && entry.valid == check.valid)
            #expect(entry.checked == check.checked && entry.violations == check.violations)
            #expect(entry.maxRatio == check.maxRatio)
        }
        #expect(entries[3].firstViolation == Entry.Place(label: made.name, row: 1))
        #expect(entries[0].firstViolation == nil)
    }

    @Test("a measurement summarises its rows")
    func measurementSummary() throws {
        let head = AdversarialHeads.equalScores.head
        let window = SparsePattern.windowColumns(WindowColumns(window: 12, columns: []))
        let measured = MaskMeasurement(head, keeping: window, values: ValueExtent(of: head), label: "equal")
        let retained = (0..<96).map { min(1, 12 / Double($0 + 1)) }
        #expect(abs(measured.cumulativeResidualAttention - 12.0 / 96) < 1e-14)
        #expect(abs(measured.largestDroppedMass - 84.0 / 96) < 1e-14)
        #expect(abs(measured.meanRetainedMass - retained.reduce(0, +) / 96) < 1e-14)
        #expect(measured.density == window.density(head.shape))
        #expect(abs(measured.retainedMassQuantile(0) - 12.0 / 96) < 1e-14)
        let worst = measured.worstRow(for: .renormalised)
        #expect(measured.rows.allSatisfy { $0.renormalisedError <= worst.renormalisedError })
    }
}
