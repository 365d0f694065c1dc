import ArgumentParser
import AttentionCore
import Autotuning
import Reporting

/// Which latency model a search minimises by.
struct LatencyOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("Latency model to minimise by, from `calibrate --output` (default: this machine's).", valueName: "file"))
    var latencyModel: String?

    /// The file's model, the machine's kept one, or one that is measured now.
    func model(_ run: some Run, headDimension: Int) throws(InputError) -> LatencyFile {
        if let latencyModel {
            let file = try LatencyFile(contentsOf: latencyModel)
            guard file.headDimension == headDimension else {
                throw InputError(
                    .configuration, file: latencyModel, field: "headDimension", value: "\(file.headDimension)",
                    rule: "must be the model's \(headDimension)")
            }
            return file
        }
        var bar: ProgressBar?
        defer { bar?.finish() }
        return try LatencyModel.calibrated(
            kernel: run.kernel, headDimension: headDimension, provenance: run.provenance(), warn: { Message.write("warning: \($0)") }
        ) { done, total, status in
            if bar == nil { bar = ProgressBar("calibrate", total: total) }
            bar?.update(done: done, status: status)
        }
    }
}
