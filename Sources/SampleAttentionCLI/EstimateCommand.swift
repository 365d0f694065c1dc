import ArgumentParser
import AttentionCore
import LanguageModels
import ModelFormats
import Reporting
import StudyReports

/// `estimate`: operations and memory of full against sparse attention, without running anything.
struct EstimateCommand: JSONPrinting {
    static let configuration = CommandConfiguration(
        commandName: "estimate", abstract: "Operations and memory of full against sparse prefill, for a named shape and length.",
        discussion: """
            Shapes: \(DecoderShape.known.map(\.name).joined(separator: ", ")), or --model for a folder's own. The first table \
            is the count often quoted for the paper (80,000 tokens, 2,800 kept keys); the second adds what it leaves out.
            """)

    @Option(help: "A published model's shape.")
    var shape = "chatglm2-6b"

    @Option(help: ArgumentHelp("A Hugging Face model folder or GGUF file, instead of a named shape.", valueName: "path"))
    var model: String?

    @Option(help: "Prompt length in tokens.")
    var length = 80_000

    @Option(help: "Keys each query keeps: window and columns.")
    var keptKeys = 2_800

    @Option(help: "Share of the query rows scored for the selection, in (0, 1].")
    var sampleRatio = 0.05

    @Option(help: "Bytes of an element of Q, K, V and the cache: 2 or 4.")
    var bytesPerElement = 2

    @Flag(help: "Print the result as one JSON object on standard output.")
    var json = false

    func run() throws {
        let decoder: DecoderShape
        if let model {
            let description = try DecoderDescription(modelAt: model)
            if let note = description.windowNote { Message.write("note: \(note)") }
            decoder = DecoderShape(description, name: model)
        } else {
            decoder = try DecoderShape.named(shape)
        }
        _ = try ParameterOptions.count(length, "length", atLeast: 1)
        _ = try ParameterOptions.count(keptKeys, "kept-keys", atLeast: 1)
        guard [2, 4].contains(bytesPerElement) else {
            throw InputError(.usage, field: "bytes-per-element", value: "\(bytesPerElement)", rule: "must be 2 or 4")
        }
        let estimate = PrefillEstimate(
            shape: decoder, length: length, keptKeys: keptKeys, sampleRatio: try Fraction(sampleRatio, field: "sample-ratio"),
            bytesPerElement: bytesPerElement)
        if json { JSONOutput.print(estimate) } else { print(estimate.text, terminator: "") }
    }
}
