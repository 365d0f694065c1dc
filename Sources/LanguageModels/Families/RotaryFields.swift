import AttentionCore
import Foundation
import ModelFormats

/// What a `config.json` says about rotary embeddings, in either of its spellings: `rope_theta` with `rope_scaling`, or one
/// `rope_parameters` object.
struct RotaryFields {
    /// Where the parameters of one kind of layers stand that has its own.
    enum Source {
        /// At the top: `rope_scaling` or `rope_parameters`.
        case top
        /// In `rope_parameters`, under the name of the kind of layers.
        case kind(String)
    }

    static let fullAttention = "full_attention"
    private static let factors = 1.0...1e6
    private static let bases = 1.0...1e12
    private static let types = ["default", "linear", "dynamic", "llama3", "yarn", "longrope"]

    /// Members that a type may have without reading them.
    private static let known = [
        "factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings", "max_position_embeddings", "rope_theta",
        "partial_rotary_factor", "finetuned",
    ]

    private let config: ConfigReader
    /// The object with the parameters; nil where there is none.
    private let own: ConfigReader?
    private let isOld: Bool
    private let maximumPositions, defaultOriginal: Int
    /// At the top, where it counts first, as in transformers 5.
    private let originalPositions: Int?
    let base: Double

    /// Where both spellings are there, the old one counts, with the base beside it, as in transformers 5.
    ///
    /// - Parameters:
    ///   - maximumPositions: of the model.
    ///   - defaultOriginal: stands in for an original length that is not given; nil: the model's own.
    init(
        _ config: ConfigReader, _ source: Source = .top, defaultBase: Double = 10_000, maximumPositions: Int, defaultOriginal: Int? = nil
    ) throws(InputError) {
        self.config = config
        self.maximumPositions = maximumPositions
        self.defaultOriginal = defaultOriginal ?? maximumPositions
        let base = try config.number("rope_theta", in: Self.bases, default: defaultBase)
        let old = try config.part("rope_scaling", isStrict: true)
        let parameters = try config.part("rope_parameters", isStrict: true)
        isOld = old.map { !$0.names.isEmpty } ?? false
        switch source {
        case .top: own = isOld ? old : parameters
        // The old spelling beside kinds is about the layers that attend to everything.
        case .kind(let kind): own = isOld && kind == Self.fullAttention ? old : try parameters?.part(kind, isStrict: true)
        }
        // Types leave members of each other alone, and so does the old spelling the new one.
        own?.ignore(Self.known)
        if isOld, let parameters { parameters.ignore(parameters.names) }
        // A base at the top is not that of a kind that has parameters of its own.
        let usual = if case .kind = source { defaultBase } else { base }
        self.base = try own?.number("rope_theta", in: Self.bases, default: usual) ?? usual
        let original = try config.integer("original_max_position_embeddings", in: 1...ModelLimit.positions, default: 0)
        originalPositions = original == 0 ? nil : original
    }

    /// `partial_rotary_factor` times the head dimension, rounded down.
    ///
    /// - Throws: `InputError` when the factor is not from 0 to 1, or the dimensions are not even.
    func dimensions(of headDimension: Int, defaultShare: Double = 1) throws(InputError) -> Int {
        let member = "partial_rotary_factor"
        let top = try config.number(member, in: 0...1, default: defaultShare)
        let dimensions = Int(Double(headDimension) * (try own?.number(member, in: 0...1, default: top) ?? top))
        guard dimensions >= 2, dimensions % 2 == 0 else {
            throw config.error(member, "\(dimensions) rotated dimensions of \(headDimension) must be even and not 0", code: .unsupported)
        }
        return dimensions
    }

    /// - Throws: `InputError` (`invalidData`) where nothing is said of the embedding, for families whose own default is a scaling.
    static func require(_ config: ConfigReader) throws(InputError) {
        guard config.has("rope_parameters") || config.has("rope_scaling") else { throw config.error("rope_parameters", "is missing") }
    }

    /// Settings that belong to the scaling, for families that keep some of their own there.
    var parameters: ConfigReader? { own }

    func scaling(dimensions: Int) throws(InputError) -> RotaryScaling {
        guard let own else { return .none }
        let member = !own.has("rope_type") && own.has("type") ? "type" : "rope_type"
        let type = try own.string(member, default: isOld ? nil : "default")
        guard try own.string("type", default: type) == type else {
            throw own.error("type", "must equal rope_type, \"\(type)\"")
        }
        switch type {
        case "default": return .none
        case "linear": return .linear(factor: try own.number("factor", in: Self.factors))
        case "dynamic": return .dynamic(factor: try own.number("factor", in: Self.factors), length: maximumPositions)
        case "llama3": return .llama3(try llama3(own))
        // An older name of LongRoPE in Phi-3's files, which have its two lists.
        case "yarn" where own.has("short_factor"): return .longrope(try longrope(own, dimensions: dimensions))
        case "yarn": return .yarn(try yarn(own))
        case "longrope", "su": return .longrope(try longrope(own, dimensions: dimensions))
        default:
            throw own.error(
                member, "must be \(Self.types.dropLast().map { "\"\($0)\"" }.joined(separator: ", ")) or \"\(Self.types.last!)\"",
                code: .unsupported)
        }
    }

    private func original(_ own: ConfigReader) throws(InputError) -> Int {
        let length = try own.integer("original_max_position_embeddings", in: 1...ModelLimit.positions, default: defaultOriginal)
        return originalPositions ?? length
    }

    private func llama3(_ own: ConfigReader) throws(InputError) -> Llama3RotaryScaling {
        let factor = try own.number("factor", in: Self.factors)
        let low = try own.number("low_freq_factor", in: Self.factors)
        let high = try own.number("high_freq_factor", in: Self.factors)
        guard low < high else { throw own.error("high_freq_factor", "must be greater than low_freq_factor, \(low)") }
        return Llama3RotaryScaling(
            factor: factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalMaximumPositions: try original(own))
    }

    private func yarn(_ own: ConfigReader) throws(InputError) -> YarnRotaryScaling {
        let factor = try own.number("factor", in: Self.factors)
        func growth(_ scale: Double) -> Double { factor <= 1 ? 1 : 0.1 * scale * log(factor) + 1 }
        let (scale, scaleAll) = (
            try own.number("mscale", in: 0...100, default: 0), try own.number("mscale_all_dim", in: 0...100, default: 0)
        )
        let usual = scale != 0 && scaleAll != 0 ? growth(scale) / growth(scaleAll) : growth(1)
        let (fast, slow) = (
            try own.number("beta_fast", in: 1e-3...1e6, default: 32), try own.number("beta_slow", in: 1e-3...1e6, default: 1)
        )
        return YarnRotaryScaling(
            factor: factor, originalMaximumPositions: try original(own), fastTurns: fast, slowTurns: slow,
            roundsRamp: try own.bool("truncate", default: true),
            magnitude: try own.number("attention_factor", in: 1e-3...1e3, default: usual))
    }

    private func longrope(_ own: ConfigReader, dimensions: Int) throws(InputError) -> LongRotaryScaling {
        func list(_ member: String) throws(InputError) -> [Double] {
            guard let numbers = try own.numbers(member, in: 1e-6...1e6) else { throw own.error(member, "is missing") }
            guard numbers.count == dimensions / 2 else {
                throw own.error(member, "must have \(dimensions / 2) numbers, one a frequency, not \(numbers.count)")
            }
            return numbers
        }
        let original = try original(own)
        let ratio = try own.number("factor", in: 1e-6...1e6, default: Double(maximumPositions) / Double(original))
        let usual = ratio <= 1 || original < 2 ? 1 : (1 + log(ratio) / log(Double(original))).squareRoot()
        return LongRotaryScaling(
            shortFactors: try list("short_factor"), longFactors: try list("long_factor"), originalMaximumPositions: original,
            magnitude: try own.number("attention_factor", in: 1e-3...1e3, default: usual))
    }
}
