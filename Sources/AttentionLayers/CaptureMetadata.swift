import AttentionCore
import Foundation
import ModelFormats
import RunProvenance

/// Which model and text captured layers are of, as a file's metadata says it.
struct CaptureMetadata {
    let model: ModelIdentity
    let text: Provenance.Text
    /// c in c · tanh(score / c), of every layer; nil where scores are not capped.
    let softCap: Double?

    private enum Key: String { case model, text, textSHA256, softCap }

    init(model: ModelIdentity, text: Provenance.Text, softCap: Double?) {
        self.model = model
        self.text = text
        self.softCap = softCap
    }

    /// - Throws: `InputError` (`invalidData`) where the metadata name a model that cannot have these layers.
    init(_ file: SafetensorsFile, layers: [Int], shape: AttentionShape) throws(InputError) {
        let metadata = file.metadata
        softCap = try Self.softCap(metadata[Key.softCap.rawValue], file: file.path)
        let digest = file.sha256()
        let name = URL(fileURLWithPath: file.path).lastPathComponent
        text = Provenance.Text(name: metadata[Key.text.rawValue] ?? name, sha256: metadata[Key.textSHA256.rawValue] ?? digest)
        guard let json = metadata[Key.model.rawValue] else {
            model = ModelIdentity(
                family: "unknown", layers: layers.last! + 1, queryHeads: shape.queryHeads, keyValueHeads: shape.keyValueHeads,
                headDimension: shape.headDimension, weightsSHA256: "unknown", tokenizerSHA256: "unknown")
            return
        }
        let field = "__metadata__.\(Key.model.rawValue)"
        let decoded: ModelIdentity
        do {
            decoded = try JSONDecoder().decode(ModelIdentity.self, from: Data(json.utf8))
        } catch {
            let fault = DecodingFault(error)
            throw InputError(
                .invalidData, file: file.path, field: fault.field.map { "\(field).\($0)" } ?? field, value: fault.value,
                rule: fault.rule ?? "must be a model's identity in JSON")
        }
        guard decoded.queryHeads == shape.queryHeads, decoded.keyValueHeads == shape.keyValueHeads,
            decoded.headDimension == shape.headDimension, layers.last! < decoded.layers
        else {
            throw InputError(.invalidData, file: file.path, field: field, value: decoded.summary, rule: "must be of the tensors' shapes")
        }
        model = decoded
    }

    private static func softCap(_ text: String?, file: String) throws(InputError) -> Double? {
        guard let text else { return nil }
        guard let cap = Double(text), (1e-3...1e6).contains(cap) else {
            throw InputError(
                .invalidData, file: file, field: "__metadata__.\(Key.softCap.rawValue)", value: "\"\(text)\"",
                rule: "must be a number from 0.001 to 1000000")
        }
        return cap
    }

    /// For a file that is written.
    ///
    /// - Parameter tool: what writes it.
    func strings(tokens: Int, tool: String) -> [String: String] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Texts and whole numbers only, so encoding cannot fail.
        let json = String(decoding: try! encoder.encode(model), as: UTF8.self)
        return (softCap.map { [Key.softCap.rawValue: "\($0)"] } ?? [:]).merging([
            Key.model.rawValue: json, Key.text.rawValue: text.name, Key.textSHA256.rawValue: text.sha256, "tokens": "\(tokens)",
            "tool": tool,
        ]) { $1 }
    }
}
