import AttentionCore
import ErrorBounds
import Testing

@Suite struct TheoremTests {
    private let extent = ValueExtent(radius: 4, diameter: 5, diameterIsExact: true)

    private func alpha(_ error: Double, _ output: OutputForm) throws -> Double {
        Theorem2(error: try ErrorTolerance(error), values: extent, output: output).alpha
    }

    @Test("α is 1 − ε over the bound's constant, and 0 when any mask will do")
    func formulas() throws {
        let one = try ErrorTolerance(1)
        #expect(UnrenormalisedBound().alpha(error: one, values: extent) == 0.75)
        #expect(RenormalisedRadiusBound().alpha(error: one, values: extent) == 0.875)
        #expect(RenormalisedDiameterBound().alpha(error: one, values: extent) == 0.8)
        #expect(try alpha(1, .unrenormalised) == 0.75)
        #expect(try alpha(1, .renormalised) == 0.8)
        #expect(Theorem1(error: one, values: extent).probabilityBudget == 0.25)
        #expect(try alpha(4, .unrenormalised) == 0)
        #expect(try alpha(1e300, .unrenormalised) == 0)
        let none = ValueExtent(radius: 0, diameter: 0, diameterIsExact: true)
        #expect(UnrenormalisedBound().alpha(error: try ErrorTolerance(1e-9), values: none) == 0)
    }

    @Test("an ε that is not positive and finite is refused", arguments: [0, -1, .nan, .infinity] as [Double])
    func badError(error: Double) throws {
        let refused = try #require(throws: InputError.self) { try ErrorTolerance(error) }
        #expect(refused.code == .usage && refused.field == "error")
    }

    @Test("no α comes from a bound that is not valid")
    func invalidBound() async {
        await #expect(processExitsWith: .failure) {
            let values = ValueExtent(radius: 4, diameter: 5, diameterIsExact: true)
            _ = RenormalisedFactorOneBound().alpha(error: try ErrorTolerance(1), values: values)
        }
    }

    @Test("values without a finite R are outside the theorems")
    func unboundedValues() async {
        await #expect(processExitsWith: .failure) { _ = ValueExtent(radius: .infinity, diameter: 1, diameterIsExact: true) }
    }

    @Test(
        "Theorem 1's mask keeps the un-renormalised error within ε, and drops something",
        arguments: 31...34 as ClosedRange<UInt64>)
    func theorem1(seed: UInt64) throws {
        for (name, head) in randomHeads(seeds: seed...seed) where head.keyCount > 8 {
            let values = ValueExtent(of: head)
            for share in [0.02, 0.2, 0.7] {
                let error = try ErrorTolerance(share * values.radius)
                let theorem = Theorem1(error: error, values: values)
                let mask = theorem.mask(for: head)
                let measured = MaskMeasurement(head, keeping: mask, values: values, label: name)
                #expect(measured.largestDroppedMass <= theorem.probabilityBudget + 1e-14)
                #expect(
                    Theorem2(error: error, values: values, output: .unrenormalised).holds(for: measured), "\(name), ε = \(error)")
                #expect(measured.rows.reduce(0) { $0 + $1.keptKeys } == mask.keptPairs)
                #expect(measured.density < 1, "\(name), ε = \(error)")
            }
        }
    }

    @Test("the sparsest mask has no key to spare: without its least likely kept key a row drops too much")
    func sparsest() {
        let head = AdversarialHeads.random(queryCount: 40, keyCount: 60, dimension: 8, scoreSpread: 2, seed: 35)
        let budget = 0.1
        let mask = SparsestMask(of: head, largestDroppedMass: budget)
        let rows = ExactAttention(head).rowErrors(keeping: mask)
        ExactAttention(head).forEachProbabilityRow { row, probabilities in
            var kept: [Int] = []
            mask.forEachKeptRun(position: head.firstPosition + row, shape: head.shape) { kept += Array($0) }
            let least = kept.map { probabilities[$0] }.min()!
            #expect(rows[row].droppedMass <= budget + 1e-14)
            #expect(rows[row].droppedMass + least > budget - 1e-14, "row \(row)")
        }
    }

    @Test(
        "a window widened until its CRA meets α has the error that α was derived from",
        arguments: 41...44 as ClosedRange<UInt64>)
    func theorem2(seed: UInt64) throws {
        for (name, head) in randomHeads(seeds: seed...seed) {
            let values = ValueExtent(of: head)
            for output in OutputForm.allCases {
                let error = try ErrorTolerance(0.3 * values.radius)
                let theorem = Theorem2(error: error, values: values, output: output)
                let measured = try #require(narrowestWindow(head, meeting: theorem, values: values))
                #expect(theorem.holds(for: measured), "\(name), \(output), α = \(theorem.alpha)")
                #expect(measured.cumulativeResidualAttention >= theorem.alpha - 1e-14)
            }
        }
    }

    @Test("with the factor-one α the renormalised error exceeds ε, so the factor matters")
    func factorOneAlphaIsTooSmall() {
        let made = AdversarialHeads.factorOneCounterexample
        let values = ValueExtent(of: made.head)
        let measured = MaskMeasurement(made.head, keeping: made.pattern, values: values, label: made.name)
        let error = 0.11
        let factorOneAlpha = 1 - error / values.radius
        #expect(measured.cumulativeResidualAttention >= factorOneAlpha)
        #expect(measured.worstRow(for: .renormalised).renormalisedError > 1.8 * error)
    }

    @Test("a mask made for one head refuses another shape")
    func otherHeadTraps() async {
        await #expect(processExitsWith: .failure) {
            let mask = SparsestMask(of: AdversarialHeads.singleToken.head, largestDroppedMass: 0.5)
            _ = ExactAttention(AdversarialHeads.zeroValues.head).rowErrors(keeping: mask)
        }
    }

    @Test("a theorem says when its hypothesis and its conclusion fail")
    func failures() throws {
        let made = AdversarialHeads.factorOneCounterexample
        let values = ValueExtent(of: made.head)
        let measured = MaskMeasurement(made.head, keeping: made.pattern, values: values, label: made.name)
        for (error, holds) in [(0.15, false), (0.19999, false), (0.2, true), (0.3, true)] {
            let theorem = Theorem2(error: try ErrorTolerance(error), values: values, output: .renormalised)
            #expect(theorem.isMet(by: measured) == (error > 0.2) || error == 0.2, "ε = \(error)")
            #expect(theorem.holds(for: measured) == holds, "ε = \(error)")
        }
    }

    private func narrowestWindow(_ head: AttentionHead, meeting theorem: Theorem2, values: ValueExtent) -> MaskMeasurement? {
        for window in 1...head.keyCount {
            let pattern = SparsePattern.windowColumns(WindowColumns(window: window, columns: []))
            let measured = MaskMeasurement(head, keeping: pattern, values: values, label: "window \(window)")
            if theorem.isMet(by: measured) { return measured }
        }
        return nil
    }
}
