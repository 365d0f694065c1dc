import AttentionCore
import Foundation
import ModelFormats

/// Cosine and sine tables of rotary position embedding, halves convention: (x_i, x_{i + d/2}) turns by position · θ_i.
///
/// θ_i = base^(−2i/d), rescaled by `rope_scaling`. Angles are rounded to FP32 before the cosine, as the reference
/// implementations do, so that long positions agree with them.
/// Source: RoFormer (arXiv 2104.09864); the llama3 rule: Llama 3.1 model card and configuration.
final class RotaryEmbedding: Sendable {
    let half: Int
    let positions: Int
    private let cosines: AlignedBuffer<Float>
    private let sines: AlignedBuffer<Float>

    init(configuration: ModelConfiguration, positions: Int) {
        half = configuration.headDimension / 2
        self.positions = positions
        cosines = AlignedBuffer(count: positions * half)
        sines = AlignedBuffer(count: positions * half)
        let frequencies = Self.frequencies(configuration)
        for position in 0..<positions {
            for i in 0..<half {
                let angle = Double(Float(position) * frequencies[i])
                cosines[position * half + i] = Float(cos(angle))
                sines[position * half + i] = Float(sin(angle))
            }
        }
    }

    func cosine(_ position: Int) -> UnsafePointer<Float> { UnsafePointer(cosines.base + position * half) }
    func sine(_ position: Int) -> UnsafePointer<Float> { UnsafePointer(sines.base + position * half) }

    static func frequencies(_ configuration: ModelConfiguration) -> [Float] {
        let d = configuration.headDimension
        return (0..<d / 2).map { i in
            let plain = pow(configuration.rotaryBase, -Double(2 * i) / Double(d))
            switch configuration.rotaryScaling {
            case .none: return Float(plain)
            case .linear(let factor): return Float(plain / factor)
            case .llama3(let scaling): return Float(stretched(plain, scaling))
            }
        }
    }

    /// Long wavelengths are stretched by `factor`, short ones kept, and those between blended.
    private static func stretched(_ frequency: Double, _ scaling: Llama3RotaryScaling) -> Double {
        let turns = Double(scaling.originalMaximumPositions) * frequency / (2 * .pi)
        if turns < scaling.lowFrequencyFactor { return frequency / scaling.factor }
        if turns > scaling.highFrequencyFactor { return frequency }
        let blend = (turns - scaling.lowFrequencyFactor) / (scaling.highFrequencyFactor - scaling.lowFrequencyFactor)
        return (1 - blend) * frequency / scaling.factor + blend * frequency
    }
}
