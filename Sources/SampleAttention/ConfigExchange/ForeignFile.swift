import AttentionCore
import Foundation
import RunProvenance

/// The file that MInference and vLLM share: a list with one object a layer, whose members are heads.
struct ForeignFile {
    let file: String
    let rules: any ForeignFormat

    /// Sizes past this have no use and could overflow products.
    private static let largestCount = 1 << 30

    /// One layer a line, heads in order.
    static func text(_ layers: [[ForeignHead]]) -> String {
        let lines = layers.map { heads in
            "{" + heads.enumerated().map { "\"\($0)\": \($1.text)" }.joined(separator: ", ") + "}"
        }
        return "[" + lines.joined(separator: ",\n") + "]\n"
    }

    /// Reads and checks every head: layers and heads as the model has them, counted from 0.
    func layers(_ data: Data, model: ModelIdentity) throws(InputError) -> [[ForeignHead]] {
        let layers = try layerValues(try ForeignValue(json: data, file: file))
        guard layers.count == model.layers else {
            throw error("layers", "\(layers.count)", "must be the model's \(model.layers)", .configuration)
        }
        var result: [[ForeignHead]] = []
        for (layer, value) in layers.enumerated() { result.append(try heads(value, layer: layer, count: model.queryHeads)) }
        return result
    }

    /// A list of layers, or an object with the layers' numbers as names.
    private func layerValues(_ value: ForeignValue) throws(InputError) -> [ForeignValue] {
        switch value {
        case .list(let layers): return layers
        case .object(let layers): return try numbered(layers, "layer", count: layers.count)
        default: throw error("JSON", value.summary, "must be a list with one object of heads a layer")
        }
    }

    private func heads(_ value: ForeignValue, layer: Int, count: Int) throws(InputError) -> [ForeignHead] {
        guard case .object(let members) = value else { throw error("layer \(layer)", value.summary, "must be an object of heads") }
        guard members.count == count else {
            throw error("layer \(layer), heads", "\(members.count)", "must be the model's \(count)", .configuration)
        }
        var result: [ForeignHead] = []
        for (index, entry) in try numbered(members, "layer \(layer), head", count: count).enumerated() {
            result.append(try head(entry, "layer \(layer), head \(index)"))
        }
        return result
    }

    /// The members "0" … "count − 1" in order.
    private func numbered(_ members: [String: ForeignValue], _ field: String, count: Int) throws(InputError) -> [ForeignValue] {
        var result: [ForeignValue] = []
        for index in 0..<count {
            guard let value = members["\(index)"] else {
                let stray = members.keys.filter { name in !(0..<count).contains { "\($0)" == name } }.min()
                throw error(
                    "\(field) \(index)", stray.map { "\"\($0)\"" }, "is missing: names must be whole numbers from 0 to \(count - 1)")
            }
            result.append(value)
        }
        return result
    }

    private func head(_ value: ForeignValue, _ field: String) throws(InputError) -> ForeignHead {
        guard case .list(let parts) = value, parts.count == 4, case .text(let name) = parts[0] else {
            throw error(field, value.summary, "must be a list of pattern, two sizes and score")
        }
        guard let kind = ForeignHead.Kind(rawValue: name), rules.kinds.contains(kind) else {
            throw error(
                "\(field), pattern", name,
                "must be \(rules.kinds.map(\.rawValue).joined(separator: " or ")) to be imported from \(rules.name)",
                .unsupported)
        }
        let names = kind == .verticalSlash ? ("vertical size", "slash size") : ("n_init", "n_local")
        guard case .number(let score) = parts[3] else { throw error("\(field), score", parts[3].summary, "must be a number") }
        return ForeignHead(
            kind: kind, columns: try count(parts[1], "\(field), \(names.0)", atLeast: kind == .verticalSlash ? 1 : 0),
            window: try count(parts[2], "\(field), \(names.1)", atLeast: 1), score: score)
    }

    private func count(_ value: ForeignValue, _ field: String, atLeast minimum: Int) throws(InputError) -> Int {
        guard case .number(let number) = value, number == number.rounded(), number >= Double(minimum), number <= Double(Self.largestCount)
        else { throw error(field, value.summary, "must be a whole number from \(minimum) to \(Self.largestCount)") }
        return Int(number)
    }

    private func error(_ field: String, _ value: String?, _ rule: String, _ code: InputError.Code = .invalidData) -> InputError {
        InputError(code, file: file, field: field, value: value, rule: rule)
    }
}
