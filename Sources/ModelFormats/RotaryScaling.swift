import AttentionCore

/// How rotary position embeddings are stretched beyond the length a model was first trained at.
public enum RotaryScaling: Hashable, Sendable {
    /// Not at all.
    case none
    /// Every position divided by `factor`. Source: Chen et al., "Position Interpolation" (arXiv 2306.15595).
    case linear(factor: Double)
    /// Low frequencies divided by a factor, high ones kept, those between blended.
    case llama3(Llama3RotaryScaling)
}

/// The frequency-dependent scaling of Llama 3.1.
///
/// With a frequency's wavelength λ in tokens: λ < original / highFrequencyFactor keeps the frequency;
/// λ > original / lowFrequencyFactor divides it by `factor`; in between the two are blended linearly in original / λ.
/// Source: "The Llama 3 Herd of Models" (arXiv 2407.21783) and the reference implementation's `rope_type` "llama3".
public struct Llama3RotaryScaling: Hashable, Sendable {
    public let factor: Double
    public let lowFrequencyFactor: Double
    public let highFrequencyFactor: Double
    /// Units: tokens.
    public let originalMaximumPositions: Int

    public init(
        factor: Double, lowFrequencyFactor: Double, highFrequencyFactor: Double, originalMaximumPositions: Int
    ) {
        precondition(lowFrequencyFactor < highFrequencyFactor, "the frequency factors must differ and be in order")
        self.factor = factor
        self.lowFrequencyFactor = lowFrequencyFactor
        self.highFrequencyFactor = highFrequencyFactor
        self.originalMaximumPositions = originalMaximumPositions
    }
}

/// What `config.json` says about rotary embeddings, in one of its two spellings: `rope_theta` with `rope_scaling`, or
/// one `rope_parameters` object.
struct RotaryFields {
    private static let known: Set = [
        "type", "rope_type", "rope_theta", "factor", "low_freq_factor", "high_freq_factor",
        "original_max_position_embeddings", "partial_rotary_factor",
    ]
    private static let factors = 1.0...1e6

    let base: Double
    let scaling: RotaryScaling

    /// Where both spellings are there, the old one counts, with the base beside it, as in transformers 5.
    ///
    /// - Parameter maximumPositions: stands in for an original length that is not given.
    init(_ fields: JSONFields, maximumPositions: Int) throws(InputError) {
        try Self.checkWhole(fields)
        let bases = 1.0...1e12
        let scaling = try fields.fields("rope_scaling")
        let old = scaling?.object.members.isEmpty == true ? nil : scaling
        let new = try old == nil ? fields.fields("rope_parameters") : nil
        let base = try fields.number("rope_theta", in: bases, default: 10_000)
        self.base = try (old ?? new)?.number("rope_theta", in: bases, default: base) ?? base
        guard let own = old ?? new else {
            self.scaling = .none
            return
        }
        for member in own.object.members where !Self.known.contains(member.name) && !member.value.isNull {
            throw own.error(member.name, "this setting is not supported", code: .unsupported)
        }
        try Self.checkWhole(own)
        // A length at the top counts first, as in transformers 5.
        let original = try fields.integer("original_max_position_embeddings", in: 1...ModelConfiguration.Limit.positions, default: 0)
        self.scaling = try Self.scaling(
            own, isOld: old != nil, originalPositions: original == 0 ? nil : original, maximumPositions: maximumPositions)
    }

    /// Embeddings that rotate only a part of each head are another model.
    private static func checkWhole(_ fields: JSONFields) throws(InputError) {
        guard try fields.number("partial_rotary_factor", in: 0...1, default: 1) == 1 else {
            throw fields.error("partial_rotary_factor", "only 1 is supported", code: .unsupported)
        }
    }

    private static func scaling(
        _ fields: JSONFields, isOld: Bool, originalPositions: Int?, maximumPositions: Int
    ) throws(InputError) -> RotaryScaling {
        let member = fields.value("rope_type") == nil && fields.value("type") != nil ? "type" : "rope_type"
        let type = try fields.string(member, default: isOld ? nil : "default")
        guard try fields.string("type", default: type) == type else {
            throw fields.error("type", "must equal rope_type, \"\(type)\"")
        }
        switch type {
        case "default": return .none
        case "linear": return .linear(factor: try fields.number("factor", in: factors))
        case "llama3":
            return .llama3(
                try Llama3RotaryScaling(fields, factors: factors, originalPositions: originalPositions, maximumPositions: maximumPositions))
        default:
            throw fields.error(member, "must be \"default\", \"linear\" or \"llama3\"", code: .unsupported)
        }
    }
}

extension Llama3RotaryScaling {
    fileprivate init(
        _ fields: JSONFields, factors: ClosedRange<Double>, originalPositions: Int?, maximumPositions: Int
    ) throws(InputError) {
        let factor = try fields.number("factor", in: factors)
        let low = try fields.number("low_freq_factor", in: factors)
        let high = try fields.number("high_freq_factor", in: factors)
        let positions = try fields.integer(
            "original_max_position_embeddings", in: 1...ModelConfiguration.Limit.positions, default: maximumPositions)
        guard low < high else { throw fields.error("high_freq_factor", "must be greater than low_freq_factor, \(low)") }
        self.init(
            factor: factor, lowFrequencyFactor: low, highFrequencyFactor: high,
            originalMaximumPositions: originalPositions ?? positions)
    }
}
