import AttentionCore
import Foundation

/// What a GGUF model says about rotary embeddings, in the words of a `config.json`.
struct GGUFRotary {
    private static let factors = 1.0...1e6
    private typealias Limit = ModelLimit

    /// `rope_theta`, and where they count `rope_scaling`, `partial_rotary_factor` and `original_max_position_embeddings`.
    let members: [GGUFConfiguration.Member]

    init(_ model: GGUFConfiguration) throws(InputError) {
        var members: [GGUFConfiguration.Member] = [
            ("rope_theta", .number(try model.number("rope.freq_base", in: 1...1e12, default: 10_000)))
        ]
        let dimension = try model.integer("rope.dimension_count", in: 1...Limit.width, default: model.headDimension)
        if dimension != model.headDimension {
            members.append(("partial_rotary_factor", .number(Double(dimension) / Double(model.headDimension))))
        }
        if let scaling = try Self.scaling(model, rotated: dimension) { members.append(("rope_scaling", .object(scaling))) }
        self.members = members
    }

    private static func scaling(_ model: GGUFConfiguration, rotated: Int) throws(InputError) -> JSONObject? {
        let type = try model.has("rope.scaling.type") ? model.string("rope.scaling.type") : oldType(model)
        let table = try frequencyFactors(GGUFArchitecture.rotaryFactors, model, rotated: rotated)
        switch (type, table) {
        case ("none", nil): return nil
        case ("none", let table?): return factors(short: table, long: table, original: model.contextLength, attention: 1)
        case ("linear", nil):
            return JSONObject(members: [("rope_type", .string("linear")), ("factor", .number(try factor(model)))])
        case ("linear", let table?):
            let factor = try factor(model)
            let scaled = table.map { $0 * factor }
            return Self.factors(short: scaled, long: scaled, original: model.contextLength, attention: 1)
        case ("yarn", nil): return try yarn(model)
        case ("longrope", nil): return try longrope(model, rotated: rotated)
        case ("yarn", _), ("longrope", _):
            throw model.error("rope.scaling.type", "is not supported beside \(GGUFArchitecture.rotaryFactors)", code: .unsupported)
        default: throw model.error("rope.scaling.type", "must be none, linear, yarn or longrope", code: .unsupported)
        }
    }

    /// Without a type, llama.cpp takes a factor, in its new or its old place, for one of linear scaling.
    private static func oldType(_ model: GGUFConfiguration) -> String {
        model.has("rope.scaling.factor") || model.has("rope.scale_linear") ? "linear" : "none"
    }

    /// The factor; 0 is written for none.
    private static func factor(_ model: GGUFConfiguration) throws(InputError) -> Double {
        let name = !model.has("rope.scaling.factor") && model.has("rope.scale_linear") ? "rope.scale_linear" : "rope.scaling.factor"
        let factor = try model.number(name, in: 0...factors.upperBound)
        guard factor == 0 || factors.contains(factor) else { throw model.error(name, "must be 0 or at least 1") }
        return factor == 0 ? 1 : factor
    }

    private static func originalLength(_ model: GGUFConfiguration) throws(InputError) -> Int {
        try model.integer("rope.scaling.original_context_length", in: 1...Limit.positions, default: model.contextLength)
    }

    /// llama.cpp multiplies queries and keys by 1 + 0.1·ln(factor) and by what the file says beyond that.
    private static func yarn(_ model: GGUFConfiguration) throws(InputError) -> JSONObject {
        let factor = try factor(model)
        var members: [GGUFConfiguration.Member] = [
            ("rope_type", .string("yarn")), ("factor", .number(factor)),
            ("original_max_position_embeddings", .integer(try originalLength(model))),
        ]
        for (own, name) in [("yarn_beta_fast", "beta_fast"), ("yarn_beta_slow", "beta_slow")] where model.has("rope.scaling." + own) {
            members.append((name, .number(try model.number("rope.scaling." + own, in: 0...1e6))))
        }
        for name in ["yarn_ext_factor", "yarn_log_multiplier"] where model.has("rope.scaling." + name) {
            let value = try model.number("rope.scaling." + name, in: -1...1e6)
            let usual: ClosedRange<Double> = name == "yarn_ext_factor" ? 1...1 : 0...0
            guard usual.contains(value) || value < 0 else {
                throw model.error("rope.scaling." + name, "this setting is not supported", code: .unsupported)
            }
        }
        let attention = try attentionFactor(model)
        if attention != 1 { members.append(("attention_factor", .number(attention * (1 + 0.1 * log(factor))))) }
        return JSONObject(members: members)
    }

    private static func attentionFactor(_ model: GGUFConfiguration) throws(InputError) -> Double {
        let name = model.has("rope.scaling.attn_factor") ? "rope.scaling.attn_factor" : "rope.scaling.yarn_attn_factor"
        return try model.number(name, in: 1e-3...1e3, default: 1)
    }

    private static func longrope(_ model: GGUFConfiguration, rotated: Int) throws(InputError) -> JSONObject {
        let names = (short: GGUFArchitecture.shortRotaryFactors, long: GGUFArchitecture.longRotaryFactors)
        guard let short = try frequencyFactors(names.short, model, rotated: rotated),
            let long = try frequencyFactors(names.long, model, rotated: rotated)
        else { throw model.error("rope.scaling.type", "must have the tables \(names.short) and \(names.long) beside it") }
        return factors(short: short, long: long, original: try originalLength(model), attention: try attentionFactor(model))
    }

    /// Frequencies that are each divided by a number of their own; the hub's "longrope" has two tables, one for short prompts.
    private static func factors(short: [Double], long: [Double], original: Int, attention: Double) -> JSONObject {
        JSONObject(members: [
            ("rope_type", .string("longrope")), ("short_factor", .array(short.map { .number($0) })),
            ("long_factor", .array(long.map { .number($0) })), ("factor", .number(1)), ("attention_factor", .number(attention)),
            ("original_max_position_embeddings", .integer(original)),
        ])
    }

    /// A table of what frequencies are divided by, or nil when the file has none of that name.
    private static func frequencyFactors(_ name: String, _ model: GGUFConfiguration, rotated: Int) throws(InputError) -> [Double]? {
        guard let table = try model.archive.factors(name) else { return nil }
        guard table.count == rotated / 2, table.allSatisfy({ $0 > 0 }) else {
            throw InputError(
                .invalidData, file: model.archive.listing, field: name, value: "\(table.count) numbers",
                rule: "must be \(rotated / 2) numbers above 0, one for each frequency")
        }
        return table.map { Double($0) }
    }
}
