import AttentionKernels
import AttentionTestSupport
import Foundation
import LanguageModels
import ModelFormats
import Parallelism
import SampleAttention

extension FuzzedParser {
    /// Configurations of every family, alone and before the weights that their family's golden model has.
    static let familyParsers: [FuzzedParser] = [
        FuzzedParser(name: "family-configuration") { model in
            Prepared(samples: try goldenFamilies().map(\.sample)) { path in
                try model.install(path, as: "config.json")
                _ = try DecoderDescription(modelAt: model.path)
            }
        },
        FuzzedParser(name: "family") { model in
            // The first model of each type: its weights are those that a configuration is run with.
            let all = try goldenFamilies()
            let families = all.filter { family in family.folder == all.first { $0.modelType == family.modelType }?.folder }
            let weights = Dictionary(families.map { ($0.modelType, $0.folder + "/model.safetensors") }) { first, _ in first }
            try model.scratch.write(TinyModel.smallTokenizer(), to: "model/tokenizer.json")
            let own = model.path + "/model.safetensors"
            var present: String?
            return Prepared(samples: families.map(\.sample)) { path in
                try model.install(path, as: "config.json")
                let type = try JSONFields(contentsOf: path).string("model_type")
                if let source = weights[type], source != present {
                    try? FileManager.default.removeItem(atPath: own)
                    try FileManager.default.createSymbolicLink(atPath: own, withDestinationPath: source)
                    present = source
                }
                let loaded = try model.load()
                _ = try loaded.prefill([5, 6, 7], cache: loaded.makeCache(capacity: 3), policy: .dense)
            }
        },
    ]

    private struct GoldenFamily {
        let folder, modelType: String
        let sample: Sample
    }

    /// Both spellings of each.
    private static func goldenFamilies() throws -> [GoldenFamily] {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("LanguageModelsTests/golden/families").path
        return try FileManager.default.contentsOfDirectory(atPath: root).sorted().flatMap { name in
            try ["config.json", "config.v4.json"].compactMap { file in
                let path = "\(root)/\(name)/\(file)"
                guard FileManager.default.fileExists(atPath: path) else { return nil }
                return GoldenFamily(
                    folder: "\(root)/\(name)", modelType: try JSONFields(contentsOf: path).string("model_type"),
                    sample: try Sample(json: String(decoding: Data(contentsOf: URL(fileURLWithPath: path)), as: UTF8.self)))
            }
        }
    }
}
