import ArgumentParser
import AttentionCore
import AttentionKernels
import Benchmarks
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

    func run() throws {
        let shapes = try heads.shapes()
        let cases = try cases()
        let kernel = try machine.makeKernel()
        let progress = ProgressBar("bench", total: shapes.count)
        defer { progress.finish() }
        var results: [CertificateBench.Row] = []
        for shape in shapes {
            results += try HeadBench(shape: shape, kernel: kernel, rounds: heads.rounds, seed: machine.seed).certificates(cases)
            progress.advance(status: "\(shape.keyCount) tokens, d \(shape.headDimension)")
        }
        progress.finish()
        BenchResult(
            provenance: Provenance(kernel: kernel, seed: machine.seed, lengths: shapes.map(\.keyCount)), results: results
        ).show(json: machine.json)
    }

    private func cases() throws(InputError) -> [CertificateBench.Case] {
        var low = SampleAttentionParameters.standard
        low.alpha = try Fraction(0.5)
        var cases: [CertificateBench.Case] = []
        for rows in certificateRows.isEmpty ? [Certification.standardRows] : certificateRows {
            _ = try ParameterOptions.count(rows, "certificate-rows", atLeast: 2)
            cases.append(
                CertificateBench.Case(
                    name: "as selected", parameters: .standard, certification: try Certification(rows: rows, seed: machine.seed)))
            cases.append(
                CertificateBench.Case(
                    name: "escalated", parameters: low,
                    certification: try Certification(rows: rows, minimumMass: try Fraction(0.8), seed: machine.seed)))
        }
        return cases
    }
}
