import Autotuning
import Reporting
import RunProvenance

/// What `calibrate` prints.
package struct CalibrationResult: Encodable {
    let latencyModel: LatencyFile
    /// False when it was kept from an earlier run.
    package let isMeasured: Bool
    let seconds: Double

    package init(latencyModel: LatencyFile, isMeasured: Bool, seconds: Double) {
        (self.latencyModel, self.isMeasured, self.seconds) = (latencyModel, isMeasured, seconds)
    }

    package var text: String {
        let file = latencyModel
        let fitted = file.residuals.count { !$0.isHeldOut }
        let head = """
            \(file.provenance.machine.summary), head dimension \(file.headDimension)
            \(isMeasured ? "measured in \(NumberFormat.seconds(seconds))" : "measured on \(file.provenance.date)")

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
