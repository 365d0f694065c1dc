import AttentionCore
import ModelFormats
import Testing

@Suite struct QuantizedFormatTests {
    struct Example: Sendable, CustomTestStringConvertible {
        let expected: String?
        /// Names and types of one layer's tensors.
        let tensors: [(String, String)]
        var configuration = "{}"
        var testDescription: String { "\(expected ?? "none"), \(configuration)" }
    }

    static let examples: [Example] = [
        .init(expected: nil, tensors: [("q_proj.weight", "BF16"), ("q_proj.bias", "BF16"), ("model.biases", "F32")]),
        // What nobody reads says nothing of what is read.
        .init(expected: nil, tensors: [("q_proj.weight", "BF16"), ("unused", "F8_E8M0"), ("other", "F8_E4M3"), ("ids.weight", "U32")]),
        .init(expected: "FP8", tensors: [("q_proj.weight", "F8_E4M3"), ("q_proj.weight_scale_inv", "F32")]),
        .init(expected: "FP8", tensors: [("q_proj.weight", "F8_E5M2")]),
        .init(
            expected: "GPTQ",
            tensors: [("q_proj.qweight", "I32"), ("q_proj.qzeros", "I32"), ("q_proj.scales", "F16"), ("q_proj.g_idx", "I32")]),
        .init(expected: "AWQ", tensors: [("q_proj.qweight", "I32"), ("q_proj.qzeros", "I32"), ("q_proj.scales", "F16")]),
        .init(expected: "MXFP4", tensors: [("experts.down_proj_blocks", "U8"), ("experts.down_proj_scales", "U8")]),
        .init(expected: "bitsandbytes", tensors: [("q_proj.weight", "U8"), ("q_proj.weight.absmax", "F32")]),
        .init(expected: "bitsandbytes", tensors: [("q_proj.weight", "I8"), ("q_proj.SCB", "F32")]),
        .init(expected: "bitsandbytes", tensors: [("q_proj.weight", "U8"), ("q_proj.weight.quant_state.bitsandbytes__nf4", "U8")]),
        .init(expected: "compressed-tensors", tensors: [("q_proj.weight_packed", "I32"), ("q_proj.weight_scale", "BF16")]),
        .init(expected: "compressed-tensors", tensors: [("q_proj.weight", "I8"), ("q_proj.weight_scale", "BF16")]),
        .init(expected: "MLX", tensors: [("q_proj.weight", "U32"), ("q_proj.scales", "F16"), ("q_proj.biases", "F16")]),
        .init(expected: "MLX", tensors: [], configuration: #"{"quantization":{"group_size":64,"bits":4}}"#),
        .init(expected: "MLX", tensors: [], configuration: #"{"quantization_config":{"group_size":64,"bits":4}}"#),
        .init(expected: "FP8", tensors: [], configuration: #"{"quantization_config":{"quant_method":"fp8"}}"#),
        .init(expected: "GPTQ", tensors: [], configuration: #"{"quantization_config":{"quant_method":"gptq","bits":4,"group_size":128}}"#),
        .init(expected: "AWQ", tensors: [], configuration: #"{"quantization_config":{"quant_method":"awq"}}"#),
        .init(expected: "MXFP4", tensors: [], configuration: #"{"quantization_config":{"quant_method":"mxfp4"}}"#),
        .init(expected: "bitsandbytes", tensors: [], configuration: #"{"quantization_config":{"load_in_4bit":true}}"#),
        .init(expected: "compressed-tensors", tensors: [], configuration: #"{"compression_config":{"quant_method":"compressed-tensors"}}"#),
        .init(
            expected: "hqq", tensors: [("q_proj.qweight", "I32"), ("q_proj.scales", "F16")],
            configuration: #"{"quantization_config":{"quant_method":"hqq"}}"#),
        .init(expected: nil, tensors: [("q_proj.weight", "BF16")], configuration: #"{"quantization_config":null,"quantization":null}"#),
    ]

    @Test(arguments: examples) func namesTheFormat(example: Example) throws {
        let directory = try TemporaryDirectory()
        let fields = try JSONFields(contentsOf: directory.write(example.configuration, to: "config.json"))
        let listing = example.tensors.map { (name: "model.layers.0.self_attn." + $0.0, typeName: $0.1) }
        #expect(QuantizedFormat.name(ofTensorsIn: listing, configuration: fields) == example.expected)
        #expect(QuantizedFormat.name(ofTensorsIn: listing.reversed(), configuration: fields) == example.expected)

        let members = listing.map { #""\#($0.name)":{"dtype":"\#($0.typeName)","shape":[0],"data_offsets":[0,0]}"# }
        try directory.write(safetensors("{\(members.joined(separator: ","))}"), to: "model.safetensors")
        let archive = try SafetensorsArchive(directory: directory.path)
        if let expected = example.expected {
            expectError(.unsupported, value: expected, rule: "or a GGUF file of it", file: archive.listing) {
                try QuantizedFormat.check(archive, configuration: fields)
            }
        } else {
            try QuantizedFormat.check(archive, configuration: fields)
        }
    }
}
