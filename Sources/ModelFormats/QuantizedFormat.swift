import AttentionCore

/// The formats of quantised weights in folders of the Hugging Face hub, none of which can be read, by the names that people know them by.
package enum QuantizedFormat: String, Sendable, CaseIterable {
    case fp8 = "FP8"
    case gptq = "GPTQ"
    case awq = "AWQ"
    case mxfp4 = "MXFP4"
    case bitsAndBytes = "bitsandbytes"
    case compressedTensors = "compressed-tensors"
    case mlx = "MLX"

    /// What one tensor's name and type say of how it is stored.
    package typealias Listing = [(name: String, typeName: String)]

    /// The name of the format that a model's weights are in, or nil when nothing shows that they are quantised.
    ///
    /// The configuration counts first. A method that it names and that is not known here keeps its own name.
    ///
    /// - Parameters:
    ///   - listing: every tensor's name and type, such as "U8".
    ///   - configuration: of `config.json`.
    /// - Complexity: O(tensors).
    package static func name(ofTensorsIn listing: Listing, configuration: JSONFields) -> String? {
        name(in: configuration) ?? format(of: listing)?.rawValue
    }

    /// The name of the format that an archive's weights are in, see `name(ofTensorsIn:configuration:)`.
    package static func name(ofTensorsIn archive: SafetensorsArchive, configuration: JSONFields) -> String? {
        let listing = archive.names.compactMap { name in (try? archive.tensor(name)).map { (name: name, typeName: $0.typeName) } }
        return Self.name(ofTensorsIn: listing, configuration: configuration)
    }

    /// - Throws: `InputError` (`unsupported`), which names the format and says what to do, when the weights are quantised.
    package static func check(_ archive: SafetensorsArchive, configuration: JSONFields) throws(InputError) {
        guard let name = name(ofTensorsIn: archive, configuration: configuration) else { return }
        throw InputError(
            .unsupported, file: archive.listing, value: name,
            rule: "weights quantised in this format cannot be read: use a copy of the model that is not quantised, or a GGUF file of it")
    }

    /// The same by a configuration alone.
    package static func check(_ configuration: JSONFields) throws(InputError) {
        for member in ["quantization_config", "compression_config", "quantization"] where configuration.value(member) != nil {
            let name = name(in: configuration).map { " in \($0)" } ?? ""
            throw configuration.error(
                member, "weights quantised\(name) cannot be read: use a copy of the model that is not quantised, or a GGUF file of it",
                code: .unsupported)
        }
    }

    // MARK: - Configuration

    /// `quant_method` of transformers.
    private static let methods: [String: QuantizedFormat] = [
        "fp8": .fp8, "fbgemm_fp8": .fp8, "gptq": .gptq, "awq": .awq, "mxfp4": .mxfp4, "bitsandbytes": .bitsAndBytes,
        "compressed-tensors": .compressedTensors,
    ]

    private static func name(in configuration: JSONFields) -> String? {
        for member in ["quantization_config", "compression_config"] {
            guard let settings = configuration.value(member)?.object else { continue }
            if let method = settings["quant_method"]?.string { return methods[method]?.rawValue ?? method }
            if ["load_in_4bit", "load_in_8bit"].contains(where: { settings[$0]?.bool == true }) { return bitsAndBytes.rawValue }
            // MLX copies its settings there, without a method.
            if settings["group_size"] != nil, settings["bits"] != nil { return mlx.rawValue }
        }
        return configuration.value("quantization")?.object == nil ? nil : mlx.rawValue
    }

    // MARK: - Tensors

    private static func format(of listing: Listing) -> QuantizedFormat? {
        let names = Set(listing.map { ExactText($0.name) })
        /// True where a tensor's name ends in `ending`, and with `others` in its place it is that of a tensor too.
        func holds(_ ending: String, beside others: String...) -> Bool {
            listing.contains { tensor in
                guard tensor.name.hasSuffix(ending) else { return false }
                let stem = tensor.name.dropLast(ending.count)
                return others.allSatisfy { names.contains(ExactText(stem + $0)) }
            }
        }
        func holds(_ ending: String, ofTypes types: [String], beside other: String) -> Bool {
            listing.contains { tensor in
                types.contains(tensor.typeName) && tensor.name.hasSuffix(ending)
                    && names.contains(ExactText(tensor.name.dropLast(ending.count) + other))
            }
        }
        if holds(".qweight", beside: ".g_idx") { return .gptq }
        if holds(".qweight", beside: ".qzeros") || holds(".qweight", beside: ".scales") { return .awq }
        if holds("_blocks", ofTypes: ["U8"], beside: "_scales") { return .mxfp4 }
        if holds(".weight.absmax") || holds(".SCB") || listing.contains(where: { $0.name.contains(".quant_state.bitsandbytes__") }) {
            return .bitsAndBytes
        }
        if holds(".weight_packed", beside: ".weight_scale") { return .compressedTensors }
        let isEightBits = { (type: String) in type.hasPrefix("F8_E4M3") || type.hasPrefix("F8_E5M2") }
        if holds(".weight_scale_inv") || listing.contains(where: { $0.name.hasSuffix(".weight") && isEightBits($0.typeName) }) {
            return .fp8
        }
        if holds(".weight", beside: ".weight_scale") { return .compressedTensors }
        if holds(".weight", ofTypes: ["U32"], beside: ".scales") { return .mlx }
        return nil
    }
}

private func + (left: Substring, right: String) -> String { String(left) + right }
