import ArgumentParser
import AttentionCore
import AttentionKernels
import Autotuning
import DurableFiles
import Foundation
import HaystackModel
import ModelFormats
import Reporting
import RunProvenance
import SampleAttention

/// `calibrate`: how long attention takes on this machine.
struct CalibrateCommand: MachineCommand {
    static let configuration = CommandConfiguration(
        commandName: "calibrate", abstract: "Measure this machine and fit its latency model, which tuning minimises.",
        discussion: """
            Times layers of made-up heads, dense and sparse, at lengths from 512 to 32,768 tokens with the real selection and kernel, fits \
            a cost to every kind of work, and tells how well that predicts a quarter of the layers that the fit has not seen. The result is \
            kept in ${XDG_CACHE_HOME:-~/.cache}/sample-attention and holds for this CPU, instruction set, threads, precision, head dimension \
            and version. Leave the machine alone meanwhile.
            """)

    @OptionGroup var machine: MachineOptions

    @Option(help: "Head dimension (default: the model's).")
    var headDimension: Int?

    @Option(help: ArgumentHelp("Hugging Face model folder to take the head dimension from (default: the bundled model).", valueName: "dir"))
    var model: String?

    @Option(help: ArgumentHelp("Also write the latency model to this file.", valueName: "file"))
    var output: String?

    @Option(help: "Longest layers in tokens (default: 32768, or what the machine does in two seconds). What is shorter is not kept.")
    var maxLength: Int?

    @Flag(help: "Measure again even if this machine's latency model is kept already.")
    var refresh = false

    func run() throws {
        let start = ContinuousClock.now
        let dimension = try dimension()
        if let maxLength { _ = try ParameterOptions.count(maxLength, "max-length", atLeast: 64, atMost: 1 << 20) }
        let kernel = try machine.makeKernel()
        var bar: ProgressBar?
        defer { bar?.finish() }
        let file = try calibrate(kernel: kernel, dimension: dimension) { done, total, status in
            if bar == nil { bar = ProgressBar("calibrate", total: total) }
            bar?.update(done: done, status: status)
        }
        bar?.finish()
        if let output { try AtomicFile.write(file.encoded(), to: output) }
        let result = CalibrationResult(
            latencyModel: file, isMeasured: bar != nil, seconds: (ContinuousClock.now - start).seconds)
        if machine.json { JSONOutput.print(result) } else { print(result.text, terminator: "") }
    }

    private func calibrate(
        kernel: AttentionKernel, dimension: Int, progress: Calibration.Progress
    ) throws(InputError) -> LatencyFile {
        let provenance = Provenance(kernel: kernel, seed: machine.seed)
        if let maxLength {
            let lengths = Calibration.standardLengths.filter { $0 < maxLength } + [maxLength]
            return try Calibration(kernel: kernel, headDimension: dimension, lengths: lengths, seed: machine.seed)
                .run(provenance: provenance, progress: progress)
        }
        return try LatencyModel.calibrated(
            kernel: kernel, headDimension: dimension, provenance: provenance, refresh: refresh, warn: { Message.write("warning: \($0)") },
            progress: progress)
    }

    private func dimension() throws(InputError) -> Int {
        if let headDimension { return try ParameterOptions.count(headDimension, "head-dimension", atLeast: 1, atMost: 1024) }
        let directory = model ?? HaystackModel.modelDirectory.path
        return try ModelConfiguration(path: ModelDirectory.configurationPath(in: directory)).headDimension
    }
}

/// What `calibrate` prints.
private struct CalibrationResult: Encodable {
    let latencyModel: LatencyFile
    /// False when it was kept from an earlier run.
    let isMeasured: Bool
    let seconds: Double

    var text: String {
        let file = latencyModel
        let fitted = file.residuals.count { !$0.isHeldOut }
        let head = """
            \(file.provenance.machine.summary), head dimension \(file.headDimension)
            \(isMeasured ? "measured in \(NumberFormat.seconds(seconds))" : "measured on \(file.provenance.date); --refresh measures again")

            """
        let errors = """
            mean absolute error: \(NumberFormat.percent(file.meanAbsolutePercentageError)) of \(file.residuals.count - fitted) held-out layers, \
            \(NumberFormat.percent(file.fitMeanAbsolutePercentageError)) of \(fitted) fitted ones

            """
        return [head, coefficients, errors, worst, crossovers].joined(separator: "\n")
    }

    /// A line a term: what a unit costs, and how fast that is.
    private var coefficients: String {
        var table = TextTable(columns: [.left("a unit of"), .right("ns"), .right("GFLOP/s")])
        for term in HeadWork.Term.allCases {
            let seconds = latencyModel.model.secondsPerUnit[term] ?? 0
            let rate = term.operations(headDimension: latencyModel.headDimension).map { $0 / seconds / 1e9 } ?? .nan
            table.append([term.rawValue, NumberFormat.significant(seconds * 1e9), NumberFormat.significant(rate)])
        }
        return table.text()
    }

    /// The held-out layers that are predicted worst.
    private var worst: String {
        var table = TextTable(columns: [
            .left("held out, worst first"), .right("tokens"), .right("heads"), .right("ms"), .right("predicted"), .right("error"),
        ])
        let heldOut = latencyModel.residuals.filter(\.isHeldOut).sorted { abs($0.relativeError) > abs($1.relativeError) }
        for row in heldOut.prefix(5) {
            table.append([
                row.configuration, "\(row.length)", "\(row.heads)", NumberFormat.fixed(row.measuredSeconds * 1e3, decimals: 2),
                NumberFormat.fixed(row.predictedSeconds * 1e3, decimals: 2), NumberFormat.percent(row.relativeError),
            ])
        }
        return table.text()
    }

    private var crossovers: String {
        var table = TextTable(columns: [.left("layer of 4 heads"), .right("tokens"), .right("dense ms"), .right("sparse ms")])
        var lines = ""
        for crossover in latencyModel.crossovers {
            for (index, length) in crossover.lengths.enumerated() {
                table.append([
                    Self.name(crossover.setting), "\(length)", NumberFormat.fixed(crossover.denseSeconds[index] * 1e3, decimals: 2),
                    NumberFormat.fixed(crossover.sparseSeconds[index] * 1e3, decimals: 2),
                ])
            }
            let verdict =
                crossover.denseBelow.map { "no slower than dense from \($0) tokens on" }
                ?? "slower than dense up to \(crossover.lengths.last!) tokens"
            lines += "\(Self.name(crossover.setting)): \(verdict)\n"
        }
        return table.text() + lines
    }

    private static func name(_ setting: String) -> String {
        setting == DenseCrossover.Setting.window.rawValue ? "window of 256 and 4 sinks" : "the same, columns of 90 % from 1 % of the rows"
    }
}
