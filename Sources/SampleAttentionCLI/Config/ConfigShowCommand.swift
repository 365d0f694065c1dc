import ArgumentParser
import AttentionCore
import RunProvenance
import SampleAttention
import StudyReports

/// `config show`: what a config says, without a model.
struct ConfigShowCommand: JSONPrinting {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Print a config: where it came from, and what each head does at which length.")

    @Argument(help: "The config file.")
    var file: String

    @Option(help: "Only what applies to prompts of this many tokens.")
    var length: Int?

    @Option(help: "Only this layer, from 0.")
    var layer: Int?

    @Option(help: "Only this head of each layer, from 0.")
    var head: Int?

    @Flag(help: "Print the result as one JSON object on standard output.")
    var json = false

    func run() throws {
        let config = try TunedConfig(contentsOf: file)
        if let length { _ = try ParameterOptions.count(length, "length", atLeast: 1) }
        let selection = ConfigHeads(
            layers: try Self.range(layer, "layer", count: config.model.layers),
            heads: try Self.range(head, "head", count: config.model.queryHeads))
        if json {
            JSONOutput.print(Result(config, file: file, length: length, selection: selection))
        } else {
            print(ConfigText(config: config, selection: selection).text(length: length), terminator: "")
        }
    }

    private static func range(_ index: Int?, _ field: String, count: Int) throws(InputError) -> Range<Int> {
        guard let index else { return 0..<count }
        guard (0..<count).contains(index) else {
            throw InputError(.usage, field: field, value: "\(index)", rule: "must be from 0 to \(count - 1)")
        }
        return index..<index + 1
    }

    private struct Result: Encodable {
        let file: String
        let model: ModelIdentity
        let provenance: Provenance
        let denseBelow: Int
        let defaults: SampleAttentionParameters
        /// What applies at the length asked for; absent when none was.
        let applies: Applies?
        let buckets: [Bucket]

        struct Applies: Encodable {
            let length: Int
            let dense: Bool
            /// Absent for dense prompts, and where a config has no buckets: the defaults apply.
            let bucketLength: Int?
        }

        struct Bucket: Encodable {
            let length: Int
            let heads: [ConfigHeads.Entry]
        }

        init(_ config: TunedConfig, file: String, length: Int?, selection: ConfigHeads) {
            self.file = file
            (model, provenance, denseBelow, defaults) = (config.model, config.provenance, config.denseBelow, config.defaults)
            let shown = ConfigHeads.buckets(of: config, length: length)
            applies = length.map { Applies(length: $0, dense: $0 < config.denseBelow, bucketLength: shown.first?.length) }
            buckets = shown.map { Bucket(length: $0.length, heads: selection.entries(of: config, in: $0)) }
        }
    }
}
