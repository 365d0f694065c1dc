import ArgumentParser
import AttentionCore
import RunProvenance
import SampleAttention

/// `config check`: is the file whole, and for this model?
struct ConfigCheckCommand: ModelCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Check that a config is whole and belongs to the model; exit code 78 when it does not.")

    @OptionGroup var model: ModelOptions

    @Argument(help: "The config file.")
    var file: String

    func run() throws {
        let session = try model.open()
        let config = try session.config(at: file)
        let result = Result(file: file, valid: true, lengths: config.buckets.map(\.length), provenance: config.provenance)
        if session.json {
            JSONOutput.print(result)
        } else {
            print(
                "\(file): valid for this model; tuned at \(result.lengths.map(String.init).joined(separator: ", ")) tokens on "
                    + "\(config.provenance.date) by version \(config.provenance.tool.version)")
        }
    }

    private struct Result: Encodable {
        let file: String
        let valid: Bool
        let lengths: [Int]
        let provenance: Provenance
    }
}
