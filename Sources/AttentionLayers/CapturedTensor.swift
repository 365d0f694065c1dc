import AttentionCore
import ModelFormats

/// The three tensors of a captured layer.
enum CapturedTensor: String, CaseIterable {
    case query, key, value

    /// Far above any model, and low enough that sizes stay inside 64 bits.
    private static let mostLayers = 1 << 16
    private static let mostHeads = 1 << 16
    private static let largestHeadDimension = 1 << 10

    func name(layer: Int) -> String { "layers.\(layer).\(rawValue)" }

    func heads(_ shape: AttentionShape) -> Int { self == .query ? shape.queryHeads : shape.keyValueHeads }

    /// The layers that a file has tensors of, ascending.
    ///
    /// - Throws: `InputError` (`invalidData`) for a tensor of another name, which would be left out in silence, and where there is none.
    static func layers(of file: SafetensorsFile) throws(InputError) -> [Int] {
        var layers: Set<Int> = []
        for tensor in file.tensors where !isSinks(tensor.name) {
            guard let layer = layer(of: tensor.name) else {
                throw InputError(
                    .invalidData, file: file.path, field: tensor.name,
                    rule: "must be layers.N.query, layers.N.key, layers.N.value or layers.N.sinks")
            }
            layers.insert(layer)
        }
        guard !layers.isEmpty else {
            throw InputError(.invalidData, file: file.path, rule: "must hold layers.N.query, layers.N.key and layers.N.value")
        }
        return layers.sorted()
    }

    /// The logits [queryHeads] that take a share of a layer's softmax beside its scores, where it has any.
    static func sinksName(layer: Int) -> String { "layers.\(layer).sinks" }

    private static func isSinks(_ name: String) -> Bool { name.hasPrefix("layers.") && name.hasSuffix(".sinks") }

    /// How a layer's scores become attention.
    ///
    /// - Throws: `InputError` when its sinks are of another shape, or hold what cannot be read.
    static func rule(of file: SafetensorsFile, layer: Int, queryHeads: Int, softCap: Double?) throws(InputError) -> ScoreRule {
        let name = sinksName(layer: layer)
        guard file.tensors.contains(where: { $0.name == name }) else { return ScoreRule(softCap: softCap) }
        let sinks = AlignedBuffer<Float>(count: queryHeads)
        try file.read(name, shape: [queryHeads], into: sinks.base)
        return ScoreRule(softCap: softCap, sinks: Array(sinks.elements))
    }

    private static func layer(of name: String) -> Int? {
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == "layers", let layer = Int(parts[1]), (0..<mostLayers).contains(layer),
            CapturedTensor(rawValue: String(parts[2]))?.name(layer: layer) == name
        else { return nil }
        return layer
    }

    /// The shape that all layers have.
    ///
    /// - Throws: `InputError` (`invalidData`) naming the first tensor that is missing or has another shape.
    static func shape(of file: SafetensorsFile, layers: [Int]) throws(InputError) -> AttentionShape {
        let query = try extents(.query, layer: layers[0], file: file)
        let key = try extents(.key, layer: layers[0], file: file)
        guard query[1] % key[1] == 0 else {
            throw InputError(
                .invalidData, file: file.path, field: CapturedTensor.key.name(layer: layers[0]), value: "\(key[1]) heads",
                rule: "the \(query[1]) query heads must be a multiple of them")
        }
        let shape = AttentionShape(
            queryHeads: query[1], keyValueHeads: key[1], queryCount: query[0], keyCount: query[0], headDimension: query[2])
        for layer in layers {
            for tensor in allCases {
                let expected = [shape.keyCount, tensor.heads(shape), shape.headDimension]
                let found = try readable(tensor, layer: layer, file: file).shape
                guard found == expected else {
                    throw InputError(
                        .invalidData, file: file.path, field: tensor.name(layer: layer), value: "\(found)", rule: "must be \(expected)")
                }
            }
        }
        return shape
    }

    /// A tensor whose type can be read, so that its bytes bound its shape before anything is made of that size.
    private static func readable(_ tensor: CapturedTensor, layer: Int, file: SafetensorsFile) throws(InputError) -> SafetensorsTensor {
        let found = try file.tensor(tensor.name(layer: layer))
        guard let type = found.dataType, [.float32, .float16, .bfloat16].contains(type) else {
            throw InputError(.unsupported, file: file.path, field: found.name, value: found.typeName, rule: "must be F32, F16 or BF16")
        }
        return found
    }

    private static func extents(_ tensor: CapturedTensor, layer: Int, file: SafetensorsFile) throws(InputError) -> [Int] {
        let name = tensor.name(layer: layer)
        let shape = try readable(tensor, layer: layer, file: file).shape
        guard shape.count == 3, shape[0] >= 2, shape[0] <= Int32.max, (1...mostHeads).contains(shape[1]), shape[2] % 2 == 0,
            (2...largestHeadDimension).contains(shape[2])
        else {
            throw InputError(
                .invalidData, file: file.path, field: name, value: "\(shape)",
                rule:
                    "must be [tokens, heads, head dimension], of at least two tokens and of an even dimension up to \(largestHeadDimension)"
            )
        }
        return shape
    }
}
