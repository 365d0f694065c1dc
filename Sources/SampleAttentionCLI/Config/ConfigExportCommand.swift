import ArgumentParser
import DurableFiles
import SampleAttention

/// `config export`: a config as another program's file.
struct ConfigExportCommand: JSONPrinting {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Write a config as a file of MInference or vLLM; what is lost is said on standard error.",
        discussion: """
            Windows become slash lines, columns vertical lines. Both programs keep fixed numbers of them, so the columns of heads with \
            an alpha are estimated from the density that was measured, and only at a measured length.
            """)

    @Argument(help: "The config file.")
    var file: String

    @OptionGroup var exchange: ExchangeOptions

    @Option(help: ArgumentHelp("The file to write (default: standard output).", valueName: "file"))
    var output: String?

    @Flag(help: "Print the result as one JSON object on standard output.")
    var json = false

    func run() throws {
        let exchange = try exchange.exchange()
        let export = try exchange.exported(TunedConfig(contentsOf: file), file: file)
        if let output { try AtomicFile.write(export.text, to: output) }
        Message.write("warning: \(file): \(export.warning)")
        if json {
            JSONOutput.print(
                Result(
                    file: file, format: exchange.format.rawValue, length: exchange.length, output: output,
                    estimatedHeads: export.estimatedHeads, warning: export.warning, layers: output == nil ? export.layers : nil))
        } else if let output {
            print("Wrote \(output)")
        } else {
            print(export.text, terminator: "")
        }
    }

    private struct Result: Encodable {
        let file, format: String
        let length: Int
        let output: String?
        let estimatedHeads: Int
        let warning: String
        /// Heads of each layer; absent when they went to a file.
        let layers: [[ForeignHead]]?
    }
}

/// Options of commands that exchange configs with other programs.
struct ExchangeOptions: ParsableArguments {
    @Option(help: "Whose file: minference or vllm.")
    var format: String

    @Option(help: "Prompt length in tokens that windows and column counts are for.")
    var length: Int

    func exchange() throws -> ConfigExchange {
        try ConfigExchange(format: ParameterOptions.choice(format, "format"), length: length)
    }
}
