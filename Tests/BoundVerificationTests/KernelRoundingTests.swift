import AttentionCore
import AttentionKernels
import AttentionTestSupport
import BoundVerification
import ErrorBounds
import Parallelism
import Testing

/// The real kernel, every instruction set of this machine in both precisions, against the derived allowance.
@Suite struct KernelRoundingTests {
    static let kernels: [AttentionKernel] = InstructionSet.allCases.filter(\.isAvailable).flatMap { set in
        Precision.allCases.map { try! AttentionKernel(instructionSet: set, precision: $0, pool: WorkerPool(threads: 2)) }
    }

    /// Which kernel a test is about, in its name.
    struct Index: Sendable, CustomTestStringConvertible {
        let index: Int
        var kernel: AttentionKernel { KernelRoundingTests.kernels[index] }
        var testDescription: String { "\(kernel.instructionSet) \(kernel.precision)" }
    }

    static let all = kernels.indices.map(Index.init)

    private func rounding(_ verifier: BoundVerifier) -> BoundCheck { verifier.checks.first { $0.name == "kernel-rounding" }! }

    @Test("random heads under every kind of pattern", arguments: all)
    func randomHeads(index: Index) throws {
        let verification = try HeadVerification(kernel: index.kernel)
        var total = BoundVerifier()
        for (seed, test) in PatternCase.all.enumerated() {
            let head = AdversarialHeads.random(
                queryCount: test.shape.queryCount, keyCount: test.shape.keyCount, dimension: [1, 8, 33][seed % 3],
                scoreSpread: [1, 4, 30][seed / 3 % 3], seed: UInt64(seed))
            total.merge(
                try verification.run(
                    KernelHead(rounding: head), patterns: [VerifiedPattern(name: "\(test)", pattern: test.pattern)],
                    label: "random"
                ).verifier)
        }
        #expect(total.holds, "\(total.brokenChecks.compactMap(\.violationDescription))")
        let check = rounding(total)
        #expect(check.rows.checked > 10_000)
        #expect(check.maxRatio > (index.kernel.precision == .bf16 ? 0.1 : 0.005), "an allowance this loose says little")
    }

    @Test("constructed heads, and a wrong bound on them", arguments: all)
    func adversarialHeads(index: Index) throws {
        let total = try HeadVerification.adversarialHeads(kernel: index.kernel)
        #expect(total.holds, "\(total.brokenChecks.compactMap(\.violationDescription))")
        #expect(rounding(total).rows.checked > 1500)
        for check in total.checks where check.name.hasPrefix("kernel-renormalised") {
            #expect(check.maxRatio > 0.99 && check.maxRatio <= 1, "\(check.name): the kernel meets the bound too")
        }
        let wrong = try HeadVerification.adversarialHeads(kernel: index.kernel, bounds: [Understated(factor: 0.9)])
        #expect(wrong.brokenChecks.map(\.name) == ["understated", "kernel-understated"])
    }

    @Test("a kernel that forgets one key of 300 is caught in every precision", arguments: all)
    func forgottenKey(index: Index) throws {
        let made = AdversarialHeads.random(queryCount: 300, keyCount: 300, dimension: 8, seed: 71)
        let head = try KernelHead(rounding: made)
        let kept = SparsePattern.windowColumns(WindowColumns(window: 64, columns: [0, 7]))
        let forgot = SparsePattern.windowColumns(WindowColumns(window: 64, columns: [0]))
        let output = try head.output(keeping: forgot, kernel: index.kernel, workspace: AttentionWorkspace())
        var verifier = BoundVerifier()
        verifier.check(
            MaskMeasurement(head.exact, keeping: kept, values: ValueExtent(of: head.exact), label: "forgot", kernel: output))
        let check = rounding(verifier)
        #expect(check.violations > 0)
        // Column 7 is in the window of the rows before 71.
        #expect((check.firstViolation?.row ?? 0) >= 71)
    }

    @Test("what BF16 rounds away is far beyond what FP32 may", arguments: all.filter { $0.kernel.precision == .bf16 })
    func otherPrecision(index: Index) throws {
        let head = try KernelHead(rounding: AdversarialHeads.random(queryCount: 200, keyCount: 200, dimension: 16, seed: 72))
        let values = ValueExtent(of: head.exact)
        let workspace = AttentionWorkspace()
        let output = try head.output(keeping: .dense, kernel: index.kernel, workspace: workspace)
        let measured = MaskMeasurement(head.exact, keeping: SparsePattern.dense, values: values, label: "bf16", kernel: output)
        let floats = try AttentionKernel(instructionSet: index.kernel.instructionSet, pool: index.kernel.pool)
        let exact = KernelAllowance(KernelRounding(floats.rounding), head: head.exact, values: values)
        var allowances: [Double] = []
        ExactAttention(head.exact, kernelAllowance: exact).forEachRow(keeping: SparsePattern.dense) {
            allowances.append($0.kernelAllowance)
        }
        let beyond = zip(measured.kernelRows, allowances).filter { $0.deviation > 2 * $1 }.count
        #expect(beyond > 150, "\(beyond) of 200 rows")
        #expect(measured.kernelRows.allSatisfy { $0.deviation <= $0.allowance })
    }

    /// 1 + 127/128 · 2⁻⁸ lies just below the middle of two neighbours of BF16, 1 and 1 + 2⁻⁷. Every row keeps itself alone, with
    /// weight 1; rows are five because fewer are computed one by one, in FP32.
    @Test("an operand errs by up to its roundoff, and by more than half of it", arguments: all)
    func operandRoundoff(index: Index) throws {
        let value = 1 + 127 * 0x1p-15
        let rows = Array(repeating: [value], count: 5)
        let zeros = Array(repeating: [0.0], count: 5)
        let head = try KernelHead(rounding: AttentionHead(queries: zeros, keys: zeros, values: rows))
        let output = try head.output(
            keeping: .windowColumns(WindowColumns(window: 1, columns: [])), kernel: index.kernel, workspace: AttentionWorkspace())
        ExactAttention(head.exact).forEachRow(keeping: SparsePattern.windowColumns(WindowColumns(window: 1, columns: []))) { row in
            let error = output.errors(row).deviation / value
            let roundoff = KernelRounding(index.kernel.rounding).operandRoundoff
            // The exponential of 0 errs by less than 1e-4, which BF16 rounds away above the line and not below it.
            #expect(error <= roundoff + 1e-4)
            #expect(error >= 0.5 * roundoff)
        }
    }

    @Test("a constructed head keeps its attention when it is padded and its scale moves into the queries")
    func padding() throws {
        for (dimension, valueDimension) in [(1, 5), (6, 2), (3, 3)] {
            let base = AdversarialHeads.random(queryCount: 5, keyCount: 9, dimension: dimension, seed: 73)
            let rows = { (values: [Double], width: Int) in
                stride(from: 0, to: values.count, by: width).map { Array(values[$0..<$0 + width]) }
            }
            let values = rows(
                AdversarialHeads.random(queryCount: 1, keyCount: 9, dimension: valueDimension, seed: 74).values, valueDimension)
            let head = try AttentionHead(
                queries: rows(base.queries, dimension), keys: rows(base.keys, dimension), values: values, scale: 0.3)
            let padded = try KernelHead(rounding: head).exact
            var outputs: [[Double]] = []
            ExactAttention(head).forEachRow(keeping: SparsePattern.dense) { outputs.append($0.dense) }
            ExactAttention(padded).forEachRow(keeping: SparsePattern.dense) { row in
                let expected = outputs[row.errors.row] + Array(repeating: 0, count: row.dense.count - valueDimension)
                #expect(zip(row.dense, expected).allSatisfy { abs($0 - $1) < 1e-5 })
            }
        }
    }
}

/// A claim that is too small by a factor, declared valid.
struct Understated: OutputErrorBound {
    let name = "understated"
    let valid = true
    let statement = "a constant times a valid bound"
    let output = OutputForm.renormalised
    let factor: Double
    func errorPerDroppedMass(_ values: ValueExtent) -> Double { factor * values.diameter }
}
