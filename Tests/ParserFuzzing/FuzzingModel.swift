import AttentionCore
import AttentionKernels
import AttentionTestSupport
import Foundation
import LanguageModels
import ModelFormats
import Parallelism
import RunProvenance
import SampleAttention

/// The tiny model that files are about, in a folder of its own.
final class FuzzingModel {
    let scratch: Scratch
    private let tiny: TinyModel

    init() throws {
        scratch = try Scratch()
        tiny = try TinyModel(scratch)
    }

    var path: String { tiny.path }

    func read(_ file: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path + "/" + file)) }

    func load() throws -> LanguageModel {
        try LanguageModel.load(from: path, kernel: AttentionKernel(pool: WorkerPool(threads: 1)))
    }

    func tokenizer() throws -> Tokenizer { try Tokenizer(path: path + "/tokenizer.json") }

    /// Puts the file at `source` in the place of one in the model's folder, or a new one.
    func install(_ source: String, as file: String) throws {
        try FileManager.default.contents(atPath: source)?.write(to: URL(fileURLWithPath: path + "/" + file))
    }

    static func provenance() -> Provenance {
        Provenance(
            tool: .init(version: "1.0.0", commit: "none"),
            machine: .init(cpu: "none", instructionSet: "scalar", threads: 1, precision: .fp32), seed: 1,
            texts: [.init(name: "text.txt", sha256: "ab")], lengths: [200], date: "2026-01-01T00:00:00Z")
    }
}
