import AttentionCore
import AttentionKernels
import Parallelism
import Reporting
import SampleAttention

/// What is measured of the certificates of a layer's heads, against dense attention on the same heads.
package enum CertificateBench {
    package struct Row: BenchRow {
        let setting, precision, isa: String
        let threads, length, queryHeads, keyValueHeads, headDimension, rows: Int
        let milliseconds, millisecondsLeast, millisecondsMost, denseMilliseconds, shareOfDense: Double
        let meanMass, meanLowerBound: Double
        let escalatedHeads: Int

        package static let titles = [
            "heads are", "length", "heads", "d", "rows", "ms", "least", "most", "dense ms", "of dense", "mean mass", "slack", "escalated",
        ]
        package var cells: [String] {
            [
                setting, "\(length)", "\(queryHeads)/\(keyValueHeads)", "\(headDimension)", "\(rows)",
                NumberFormat.fixed(milliseconds, decimals: 2), NumberFormat.fixed(millisecondsLeast, decimals: 2),
                NumberFormat.fixed(millisecondsMost, decimals: 2), NumberFormat.fixed(denseMilliseconds, decimals: 1),
                NumberFormat.percent(shareOfDense, decimals: 2), NumberFormat.fixed(meanMass, decimals: 4),
                NumberFormat.fixed(meanMass - meanLowerBound, decimals: 4), "\(escalatedHeads)",
            ]
        }
    }

    /// What is timed: parameters, and the certificate that is asked for.
    package struct Case {
        let name: String
        let parameters: SampleAttentionParameters
        let certification: Certification

        package init(name: String, parameters: SampleAttentionParameters, certification: Certification) {
            (self.name, self.parameters, self.certification) = (name, parameters, certification)
        }
    }
}

extension HeadBench {
    /// A row a case.
    ///
    /// - Throws: `InputError` (`internalFailure`) when a certificate is wrong, so that a wrong one is never timed.
    package func certificates(_ cases: [CertificateBench.Case]) throws -> [CertificateBench.Row] {
        for benchCase in cases { try check(benchCase) }
        let heads = try RandomHeads(shape: shape, seed: seed)
        let workspace = AttentionWorkspace()
        var reports = [[AttentionReport]](repeating: [], count: cases.count + 1)
        let dense = CertificateBench.Case(name: "dense", parameters: .dense, certification: cases[0].certification)
        _ = try Timing.alternating(cases.count + 1, rounds: rounds) { index in
            let benchCase = index == 0 ? dense : cases[index - 1]
            reports[index].append(try attend(benchCase, heads: heads, shape: shape, kernel: kernel, workspace: workspace))
        }
        // The first round of all is not counted.
        func timing(_ index: Int, _ seconds: (AttentionReport) -> Double) -> Timing {
            Timing(rounds: reports[index].dropFirst().map { seconds($0) * 1e3 })
        }
        let denseTime = timing(0, \.kernelSeconds).median
        return cases.enumerated().map { index, benchCase in
            let time = timing(index + 1, \.certificateSeconds)
            let certificates = reports[index + 1][0].certificates!
            func mean(_ value: (Certificate) -> Double) -> Double { certificates.reduce(0) { $0 + value($1) } / Double(certificates.count) }
            return CertificateBench.Row(
                setting: benchCase.name, precision: kernel.precision.rawValue, isa: kernel.instructionSet.rawValue,
                threads: kernel.pool.threads, length: shape.keyCount, queryHeads: shape.queryHeads, keyValueHeads: shape.keyValueHeads,
                headDimension: shape.headDimension, rows: benchCase.certification.rows, milliseconds: time.median,
                millisecondsLeast: time.least, millisecondsMost: time.most, denseMilliseconds: denseTime,
                shareOfDense: time.median / denseTime, meanMass: mean(\.meanMass), meanLowerBound: mean(\.meanLowerBound),
                escalatedHeads: certificates.count { $0.escalation != .none })
        }
    }

    private func attend(
        _ benchCase: CertificateBench.Case, heads: borrowing RandomHeads, shape: AttentionShape, kernel: AttentionKernel,
        workspace: AttentionWorkspace
    ) throws(InputError) -> AttentionReport {
        try SampleAttentionOperator(kernel: kernel).attend(
            .init(query: heads.query, key: heads.key, value: heads.value),
            parameters: Array(repeating: benchCase.parameters, count: shape.queryHeads), promptLength: shape.keyCount, output: heads.output,
            certification: benchCase.certification, workspace: workspace)
    }

    /// The certified means must be the FP32 reference's.
    private func check(_ benchCase: CertificateBench.Case) throws(InputError) {
        let shape = shape.checked
        let heads = try RandomHeads(shape: shape, seed: seed)
        let other = try kernel.instructionSet.checkingKernel(pool: kernel.pool)
        let own = try attend(benchCase, heads: heads, shape: shape, kernel: kernel, workspace: AttentionWorkspace())
        let reference = try attend(benchCase, heads: heads, shape: shape, kernel: other, workspace: AttentionWorkspace())
        for (own, reference) in zip(own.certificates!, reference.certificates!) {
            let difference = abs(own.meanMass - reference.meanMass)
            guard difference < 0.01 else {
                throw InputError(
                    .internalFailure, field: benchCase.name, value: "\(difference)", rule: "must agree with the FP32 reference to 0.01")
            }
        }
    }
}
