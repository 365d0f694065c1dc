import ArgumentParser
import AttentionCore
import DurableFiles
import Foundation
import ModelFormats
import Reporting
import RunProvenance
import SampleAttention

/// `config import`: another program's file as a config.
struct ConfigImportCommand: ModelCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Read a file of MInference or vLLM as a config for a model; what is lost is said on standard error.",
        discussion: """
            Vertical lines become a fixed number of columns (columnCount), slash lines a window; heads keep choosing by the last 64 \
            rows. The config holds one bucket, of the length given.
            """)

    @OptionGroup var model: ModelOptions

    @Argument(help: "The file of the other program.")
    var file: String

    @OptionGroup var exchange: ExchangeOptions

    @Option(help: ArgumentHelp("The config file to write.", valueName: "file"))
    var output: String

    func run() throws {
        let exchange = try exchange.exchange()
        guard let data = FileManager.default.contents(atPath: file) else {
            throw InputError(.missingInput, file: file, rule: "the file must exist and be readable")
        }
        let session = try model.open()
        try TextOptions.check(exchange.length, session: session)
        let imported = try exchange.imported(
            data, file: file, model: session.identity(), provenance: provenance(of: data, exchange: exchange, session: session))
        try AtomicFile.write(imported.config.encoded(), to: output)
        Message.write("warning: \(file): \(imported.warning)")
        report(imported, json: session.json)
    }

    /// The file takes the place of the texts that a tuned config was measured on.
    private func provenance(of data: Data, exchange: ConfigExchange, session: Session) -> Provenance {
        let name = "\(exchange.format.rawValue) file \(URL(fileURLWithPath: file).lastPathComponent)"
        return Provenance(
            kernel: session.kernel, seed: session.seed,
            texts: [.init(name: name, sha256: sha256(ofText: String(decoding: data, as: UTF8.self)))], lengths: [exchange.length])
    }

    private func report(_ imported: ConfigExchange.Import, json: Bool) {
        let heads = imported.config.buckets.flatMap { $0.layers.flatMap(\.self) }
        let density = heads.reduce(0) { $0 + $1.measured.density } / Double(heads.count)
        if json {
            JSONOutput.print(Result(file: file, output: output, heads: heads.count, density: density, warning: imported.warning))
        } else {
            print("Wrote \(output): \(heads.count) heads that keep at most \(NumberFormat.percent(density)) of the pairs")
        }
    }

    private struct Result: Encodable {
        let file, output: String
        let heads: Int
        /// The most that the heads can keep, on average.
        let density: Double
        let warning: String
    }
}
