import AttentionCore
import ErrorBounds
import Testing

@Suite struct TheoremTests {
    private let extent = ValueExtent(radius: 4, diameter: 5, diameterIsExact: true)

    @Test("α is 1 − ε over the bound's constant, and 0 when any mask will do")
    func formulas() throws {
        #expect(try UnrenormalisedBound().alpha(error: 1, values: extent) == 0.75)
        #expect(try RenormalisedRadiusBound().alpha(error: 1, values: extent) == 0.875)
        #expect(try RenormalisedDiameterBound().alpha(error: 1, values: extent) == 0.8)
        #expect(try Theorem2.alpha(error: 1, values: extent, output: .unrenormalised) == 0.75)
        #expect(try Theorem2.alpha(error: 1, values: extent, output: .renormalised) == 0.8)
        #expect(try Theorem1.probabilityBudget(error: 1, values: extent) == 0.25)
        #expect(try UnrenormalisedBound().alpha(error: 4, values: extent) == 0)
        #expect(try UnrenormalisedBound().alpha(error: 1e300, values: extent) == 0)
        let none = ValueExtent(radius: 0, diameter: 0, diameterIsExact: true)
        #expect(try UnrenormalisedBound().alpha(error: 1e-9, values: none) == 0)
    }

    @Test("an ε that is not positive and finite is refused", arguments: [0, -1, .nan, .infinity] as [Double])
    func badError(error: Double) throws {
        for output in OutputForm.allCases {
            let refused = try #require(throws: InputError.self) {
                try Theorem2.alpha(error: error, values: extent, output: output)
            }
            #expect(refused.code == .usage && refused.field == "error")
        }
        #expect(throws: InputError.self) { try Theorem1.probabilityBudget(error: error, values: extent) }
    }

    @Test("no α comes from a bound that is not valid")
    func invalidBound() throws {
        let refused = try #require(throws: InputError.self) {
            try RenormalisedFactorOneBound().alpha(error: 1, values: extent)
        }
        #expect(refused.field == "bound")
    }

    @Test(
        "Theorem 1's mask keeps the un-renormalised error within ε, and drops something",
        arguments: 31...34 as ClosedRange<UInt64>)
    func theorem1(seed: UInt64) throws {
        for (name, head) in randomHeads(seeds: seed...seed) where head.keyCount > 8 {
            let values = ValueExtent(of: head)
            for share in [0.02, 0.2, 0.7] {
                let error = share * values.radius
                let mask = try Theorem1.mask(for: head, error: error, values: values)
                let measured = MaskMeasurement(head, keeping: mask, values: values, label: name)
                let worst = measured.worstRow(for: .unrenormalised).unrenormalisedError
                #expect(worst <= error + measured.allowance(keys: head.keyCount), "\(name), ε = \(error)")
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
                let error = 0.3 * values.radius
                let alpha = try Theorem2.alpha(error: error, values: values, output: output)
                let measured = try #require(narrowestWindow(head, meeting: alpha, values: values))
                let worst = measured.worstRow(for: output).error(of: output)
                #expect(worst <= error + measured.allowance(keys: head.keyCount), "\(name), \(output), α = \(alpha)")
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

    private func narrowestWindow(_ head: AttentionHead, meeting alpha: Double, values: ValueExtent) -> MaskMeasurement? {
        for window in 1...head.keyCount {
            let pattern = SparsePattern.windowColumns(WindowColumns(window: window, columns: []))
            let measured = MaskMeasurement(head, keeping: pattern, values: values, label: "window \(window)")
            if measured.cumulativeResidualAttention >= alpha { return measured }
        }
        return nil
    }
}
