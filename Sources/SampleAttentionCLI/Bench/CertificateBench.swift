import ArgumentParser
import AttentionCore
import AttentionKernels
import Parallelism
import Reporting
import RunProvenance
import SampleAttention

/// `bench certificate`: what certificates cost beside dense attention.
struct CertificateBenchCommand: MachineCommand {
    static let configuration = CommandConfiguration(
        commandName: "certificate",
        abstract: "Time the certificates of a layer's heads against dense attention on the same synthetic heads.",
        discussion: """
            "as selected" looks at each head once. "escalated" has a least mass that every head misses as selected and reaches with more \
            columns: two looks and a second selection, the most that certificates can cost. "of dense" is the time over that of dense \
            attention in the same run; "slack" is how far the lower bound of the mean lies below the estimate, over all heads.
            """)

    @OptionGroup var machine: MachineOptions
    @OptionGroup var heads: HeadShapeOptions

    @Option(help: "Query rows drawn from each head; repeatable (default: 256).")
    var certificateRows: [Int] = []

    struct Row: BenchRow {
        let subject, precision, isa: String
        let threads, length, queryHeads, keyValueHeads, headDimension, rows: Int
        let milliseconds, millisecondsLeast, millisecondsMost, denseMilliseconds, shareOfDense: Double
        let meanMass, meanLowerBound: Double
        let escalatedHeads: Int

        static let titles = [
            "heads are", "length", "heads", "d", "rows", "ms", "least", "most", "dense ms", "of dense", "mean mass", "slack", "escalated",
        ]
        var cells: [String] {
            [
                subject, "\(length)", "\(queryHeads)/\(keyValueHeads)", "\(headDimension)", "\(rows)",
                NumberFormat.fixed(milliseconds, decimals: 2), NumberFormat.fixed(millisecondsLeast, decimals: 2),
                NumberFormat.fixed(millisecondsMost, decimals: 2), NumberFormat.fixed(denseMilliseconds, decimals: 1),
                NumberFormat.percent(shareOfDense, decimals: 2), NumberFormat.fixed(meanMass, decimals: 4),
                NumberFormat.fixed(meanMass - meanLowerBound, decimals: 4), "\(escalatedHeads)",
            ]
        }
    }

    /// What is timed: parameters, and the certificate that is asked for.
    private struct Subject {
        let name: String
        let parameters: SampleAttentionParameters
        let certification: Certification
    }

    func run() throws {
        let shapes = try heads.shapes()
        let subjects = try subjects()
        let kernel = try machine.makeKernel()
        let progress = ProgressBar("bench", total: shapes.count)
        defer { progress.finish() }
        var results: [Row] = []
        for shape in shapes {
            for subject in subjects { try check(subject, shape: shape.checked, kernel: kernel) }
            results += try measure(subjects, shape: shape, kernel: kernel)
            progress.advance(status: "\(shape.keyCount) tokens, d \(shape.headDimension)")
        }
        progress.finish()
        BenchResult(
            provenance: Provenance(kernel: kernel, seed: machine.seed, lengths: shapes.map(\.keyCount)), results: results
        ).show(json: machine.json)
    }

    private func subjects() throws(InputError) -> [Subject] {
        var low = SampleAttentionParameters.standard
        low.alpha = try Fraction(0.5)
        var subjects: [Subject] = []
        for rows in certificateRows.isEmpty ? [Certification.standardRows] : certificateRows {
            _ = try ParameterOptions.count(rows, "certificate-rows", atLeast: 2)
            subjects.append(
                Subject(name: "as selected", parameters: .standard, certification: try Certification(rows: rows, seed: machine.seed)))
            subjects.append(
                Subject(
                    name: "escalated", parameters: low,
                    certification: try Certification(rows: rows, minimumMass: try Fraction(0.8), seed: machine.seed)))
        }
        return subjects
    }

    private func measure(_ subjects: [Subject], shape: AttentionShape, kernel: AttentionKernel) throws -> [Row] {
        let heads = try RandomHeads(shape: shape, seed: machine.seed)
        let workspace = AttentionWorkspace()
        var reports = [[AttentionReport]](repeating: [], count: subjects.count + 1)
        let dense = Subject(name: "dense", parameters: .dense, certification: subjects[0].certification)
        _ = try Timing.alternating(subjects.count + 1, rounds: self.heads.rounds) { index in
            let subject = index == 0 ? dense : subjects[index - 1]
            reports[index].append(try attend(subject, heads: heads, shape: shape, kernel: kernel, workspace: workspace))
        }
        // The first round of all is not counted.
        func timing(_ index: Int, _ seconds: (AttentionReport) -> Double) -> Timing {
            Timing(rounds: reports[index].dropFirst().map { seconds($0) * 1e3 })
        }
        let denseTime = timing(0, \.kernelSeconds).median
        return subjects.enumerated().map { index, subject in
            let time = timing(index + 1, \.certificateSeconds)
            let certificates = reports[index + 1][0].certificates!
            func mean(_ value: (Certificate) -> Double) -> Double { certificates.reduce(0) { $0 + value($1) } / Double(certificates.count) }
            return Row(
                subject: subject.name, precision: kernel.precision.rawValue, isa: kernel.instructionSet.rawValue,
                threads: kernel.pool.threads, length: shape.keyCount, queryHeads: shape.queryHeads, keyValueHeads: shape.keyValueHeads,
                headDimension: shape.headDimension, rows: subject.certification.rows, milliseconds: time.median,
                millisecondsLeast: time.least, millisecondsMost: time.most, denseMilliseconds: denseTime,
                shareOfDense: time.median / denseTime, meanMass: mean(\.meanMass), meanLowerBound: mean(\.meanLowerBound),
                escalatedHeads: certificates.count { $0.escalation != .none })
        }
    }

    private func attend(
        _ subject: Subject, heads: borrowing RandomHeads, shape: AttentionShape, kernel: AttentionKernel, workspace: AttentionWorkspace
    ) throws(InputError) -> AttentionReport {
        try SampleAttentionOperator(kernel: kernel).attend(
            .init(query: heads.query, key: heads.key, value: heads.value),
            parameters: Array(repeating: subject.parameters, count: shape.queryHeads), promptLength: shape.keyCount, output: heads.output,
            certification: subject.certification, workspace: workspace)
    }

    /// The certified means must be the FP32 reference's.
    private func check(_ subject: Subject, shape: AttentionShape, kernel: AttentionKernel) throws(InputError) {
        let heads = try RandomHeads(shape: shape, seed: machine.seed)
        let other = try kernel.instructionSet.checkingKernel(pool: kernel.pool)
        let own = try attend(subject, heads: heads, shape: shape, kernel: kernel, workspace: AttentionWorkspace())
        let reference = try attend(subject, heads: heads, shape: shape, kernel: other, workspace: AttentionWorkspace())
        for (own, reference) in zip(own.certificates!, reference.certificates!) {
            let difference = abs(own.meanMass - reference.meanMass)
            guard difference < 0.01 else {
                throw InputError(
                    .internalFailure, field: subject.name, value: "\(difference)", rule: "must agree with the FP32 reference to 0.01")
            }
        }
    }
}
