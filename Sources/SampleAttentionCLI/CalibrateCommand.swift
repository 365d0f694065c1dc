import ArgumentParser
import AttentionCore
import AttentionKernels
import Autotuning
import DurableFiles
import Foundation
import HaystackModel
import LanguageModels
import ModelFormats
import Reporting
import RunProvenance
import SampleAttention
import StudyReports

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

    @Option(
        help: ArgumentHelp("Model folder or GGUF file to take the head dimension from (default: the bundled model).", valueName: "path"))
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
        if machine.json { return JSONOutput.print(result) }
        print(result.text, terminator: "")
        if !result.isMeasured { Message.write("note: kept from an earlier run; --refresh measures again") }
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
        return try DecoderDescription(modelAt: directory).headDimension
    }
}
