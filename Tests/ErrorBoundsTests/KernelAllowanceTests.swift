import AttentionCore
import ErrorBounds
import Testing

/// The allowance against kernels made to err as far as the model of `KernelRounding` lets them, in one direction on purpose.
@Suite struct KernelAllowanceTests {
    /// Rounds keys, values and probabilities by the whole roundoff, each so that the output moves along `direction`.
    private struct WorstKernel {
        let head: AttentionHead
        let pattern: SparsePattern
        let roundoff: Double

        func output(_ direction: [Double]) -> [Float] {
            var rows: [Float] = []
            ExactAttention(head).forEachRow(keeping: pattern) { rows += row($0, direction) }
            return rows
        }

        private func row(_ exact: AttentionRow, _ direction: [Double]) -> [Float] {
            let position = head.firstPosition + exact.errors.row
            let kept = (0...position).filter { pattern.keeps(key: $0, position: position, shape: head.shape) }
            let side = kept.map { key in along(direction) { value(key, $0) - exact.renormalised[$0] } > 0 ? 1.0 : -1 }
            let scores = zip(kept, side).map { key, side in score(exact.errors.row, key, raised: side) }
            let highest = scores.max()!
            let weights = scores.map { exponential($0 - highest) }
            let total = weights.reduce(0, +)
            return (0..<head.valueDimension).map { k in
                Float(
                    zip(kept, zip(weights, side)).reduce(0) { sum, term in
                        let (key, (weight, side)) = term
                        let away = direction[k] * value(key, k) > 0 ? 1.0 : -1
                        return sum + weight * (1 + roundoff * side) * value(key, k) * (1 + roundoff * away)
                    } / total)
            }
        }

        /// Σ q_k k_k (1 + roundoff·s)², s chosen so that every term moves the score the same way.
        private func score(_ row: Int, _ key: Int, raised side: Double) -> Double {
            head.scale
                * (0..<head.dimension).reduce(0) { sum, k in
                    let term = head.queries[row * head.dimension + k] * head.keys[key * head.dimension + k]
                    let factor = 1 + roundoff * side * (term > 0 ? 1 : -1)
                    return sum + term * factor * factor
                }
        }

        private func value(_ key: Int, _ k: Int) -> Double { head.values[key * head.valueDimension + k] }

        private func along(_ direction: [Double], _ body: (Int) -> Double) -> Double {
            direction.indices.reduce(0) { $0 + direction[$1] * body($1) }
        }
    }

    private func judged(_ made: (head: AttentionHead, pattern: SparsePattern), roundoff: Double, seed: UInt64) -> MaskMeasurement {
        var generator = SeededGenerator(seed: seed)
        let direction = (0..<made.head.valueDimension).map { _ in generator.normal() > 0 ? 1.0 : -1 }
        let kernel = WorstKernel(head: made.head, pattern: made.pattern, roundoff: roundoff)
        let rounding = KernelRounding(operandRoundoff: roundoff, exponentialError: 2e-6, tileKeys: 128, partialTiles: 6)
        return MaskMeasurement(
            made.head, keeping: made.pattern, values: ValueExtent(of: made.head), label: "worst",
            kernel: KernelOutput(rows: kernel.output(direction), width: made.head.valueDimension, rounding: rounding))
    }

    @Test(
        "no kernel within the model leaves the allowance, and the worst ones come near it",
        arguments: [0.0, 0x1p-8, 0x1p-5, 0.25], 61...63 as ClosedRange<UInt64>)
    func worstKernels(roundoff: Double, seed: UInt64) {
        var verifier = BoundVerifier()
        for (_, head) in randomHeads(seeds: seed...seed) {
            for pattern in patterns(keyCount: head.keyCount) {
                verifier.check(judged((head, pattern), roundoff: roundoff, seed: seed))
            }
        }
        #expect(verifier.holds, "\(verifier.brokenChecks.compactMap(\.violationDescription))")
        let check = verifier.checks.first { $0.name == "kernel-rounding" }!
        #expect(check.rows.checked > 900)
        if roundoff > 0 { #expect(check.maxRatio > 0.7, "an allowance this loose says little") }
    }

    @Test("nor on constructed heads", arguments: AdversarialHeads.all.map(\.name), [0, 0x1p-8, 0.1])
    func worstKernelsOnConstructedHeads(name: String, roundoff: Double) throws {
        let made = try #require(AdversarialHeads.all.first { $0.name == name })
        var verifier = BoundVerifier()
        verifier.check(judged((made.head, made.pattern), roundoff: roundoff, seed: 64))
        #expect(verifier.holds, "\(verifier.brokenChecks.compactMap(\.violationDescription))")
    }

    @Test("an output a little beyond its allowance is caught, and the row named", arguments: [KernelRounding.floats, .halves])
    func perturbed(rounding: KernelRounding) throws {
        let head = AdversarialHeads.random(queryCount: 20, keyCount: 30, dimension: 6, seed: 65)
        let pattern = SparsePattern.windowColumns(WindowColumns(window: 5, columns: [0, 3]))
        let values = ValueExtent(of: head)
        var exact: [[Double]] = []
        var allowances: [Double] = []
        ExactAttention(head, kernelAllowance: KernelAllowance(rounding, head: head, values: values)).forEachRow(keeping: pattern) {
            exact.append($0.renormalised)
            allowances.append($0.kernelAllowance)
        }
        for (share, broken) in [(0.9, [String]()), (1.1, ["kernel-rounding"])] {
            var rows = exact
            rows[7][2] += share * allowances[7]
            let output = KernelOutput(rows: rows.flatMap(\.self).map(Float.init), width: 6, rounding: rounding)
            var verifier = BoundVerifier()
            verifier.check(MaskMeasurement(head, keeping: pattern, values: values, label: "perturbed", kernel: output))
            #expect(verifier.brokenChecks.map(\.name) == broken, "\(share)")
            #expect(verifier.brokenChecks.allSatisfy { $0.firstViolation == RowLocation(label: "perturbed", row: 7) })
        }
    }

    @Test("where sums may leave the range of FP32 nothing is promised")
    func outOfRange() throws {
        let queries = Array(repeating: [40.0], count: 4)
        let large = try AttentionHead(queries: queries, keys: queries, values: Array(repeating: [1e37], count: 4), scale: 1)
        let calm = try AttentionHead(queries: [[0]], keys: [[0]], values: [[1e37]], scale: 1)
        func allowance(_ head: AttentionHead) -> Double {
            var last = 0.0
            let allowance = KernelAllowance(.floats, head: head, values: ValueExtent(of: head))
            ExactAttention(head, kernelAllowance: allowance).forEachRow(keeping: SparsePattern.dense) { last = $0.kernelAllowance }
            return last
        }
        #expect(allowance(large) == .infinity)
        #expect(allowance(calm) < 1e32)
    }
}

extension KernelRounding {
    /// Operands that are not rounded, and such of 8 significant bits.
    fileprivate static let floats = KernelRounding(
        operandRoundoff: 0, polynomialDegree: 6, polynomialError: 1e-9, tileKeys: 128, partialTiles: 6)
    fileprivate static let halves = KernelRounding(
        operandRoundoff: 0x1p-8, polynomialDegree: 3, polynomialError: 1e-4, tileKeys: 128, partialTiles: 6)
}
