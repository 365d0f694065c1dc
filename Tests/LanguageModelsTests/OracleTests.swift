import AttentionCore
import AttentionKernels
import AttentionTestSupport
import Foundation
import LanguageModels
import ModelFormats
import Parallelism
import SampleAttention
import Testing

/// What the bundled model does not have: an own head, heads that do not fill the hidden size, scaled rotary embeddings.
@Suite struct OracleTests {
    /// Each with the frequencies it stands for, for a head dimension of 6 and a base of 100.
    static let scalings: [(String, [String: any Sendable]?, @Sendable (Double) -> Double)] = [
        ("none", nil, { $0 }),
        ("linear", ["rope_type": "linear", "factor": 4.0], { $0 / 4 }),
        (
            "llama3",
            [
                "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                "original_max_position_embeddings": 64,
            ],
            { frequency in
                // Wavelengths above 64 are stretched eightfold, below 16 kept, and blended between.
                let wavelength = 2 * Double.pi / frequency
                if wavelength > 64 { return frequency / 8 }
                if wavelength < 16 { return frequency }
                let smooth = (64 / wavelength - 1) / 3
                return (1 - smooth) * frequency / 8 + smooth * frequency
            }
        ),
    ]

    @Test(arguments: 0..<3, [true, false]) func logitsMatchTheDefinition(scaling: Int, tied: Bool) throws {
        var shape = TinyModel.Shape()
        (shape.layers, shape.queryHeads, shape.keyValueHeads, shape.headDimension, shape.intermediate, shape.tied) = (2, 4, 2, 6, 20, tied)
        let (_, field, stretch) = Self.scalings[scaling]
        let tiny = try TinyModel(Scratch(), shape: shape)
        tiny.configuration["rope_theta"] = 100.0
        tiny.configuration["rms_norm_eps"] = 1e-6
        tiny.configuration["rope_scaling"] = field
        try tiny.write()
        let oracle = NaiveLlama(
            shape: shape, frequencies: (0..<3).map { stretch(pow(100, -Double(2 * $0) / 6)) },
            weights: Dictionary(uniqueKeysWithValues: tiny.tensors.map { ($0.name, $0.values) }))
        let model = try LanguageModel.load(from: tiny.path, kernel: AttentionKernel(pool: WorkerPool(threads: 2)))
        var random = SeededGenerator(seed: 31)
        let tokens = (0..<90).map { _ in Int32(random.next() % 257) }
        let logits = try model.prefill(tokens, cache: model.makeCache(capacity: 90), policy: .dense).logits
        let expected = oracle.logits(tokens.map(Int.init))
        let scale = expected.map(abs).max()!
        let worst = zip(logits, expected).map { abs(Double($0) - $1) / scale }.max()!
        #expect(worst < 1e-4, "\(worst)")
    }
}
