import ArgumentParser
import AttentionCore
import AttentionKernels
import LanguageModels

/// What decoding finds of the prompt's keys and values.
struct CacheOptions: ParsableArguments {
    static let automatic = "auto"

    @Option(
        help: """
            Keys and values are kept as fp32, bf16 (half the memory) or int8 (little more than a quarter); auto keeps them in the precision \
            of products.
            """)
    var cache = Self.automatic

    @Option(
        help: """
            Before decoding, drop keys by this rule: streaming keeps sinks and recent ones; heavy-hitters recent ones and those that drew \
            most attention; last-queries recent ones and those that the last 64 rows attend to; of a prompt in chunks, those of the last one.
            """)
    var evict: String?

    @Option(help: "Positions that are kept when keys are dropped.")
    var cacheTokens: Int?

    /// The format of that name; nil for the automatic one.
    static func format(_ name: String) throws(InputError) -> KeyValueCache.Format? {
        let format = KeyValueCache.Format(rawValue: name)
        guard format != nil || name == automatic else {
            let named = ParameterOptions.choices(of: KeyValueCache.Format.self)
            throw InputError(.usage, field: "cache", value: name, rule: "must be \(automatic), \(named)")
        }
        return format
    }

    func settings() throws(InputError) -> LanguageModel.CacheSettings {
        let format = try Self.format(cache)
        guard let evict else {
            if let cacheTokens { throw InputError(.usage, field: "cache-tokens", value: "\(cacheTokens)", rule: "needs --evict") }
            return .init(format: format)
        }
        let rule: CacheEviction.Rule = try ParameterOptions.choice(evict, "evict")
        guard let cacheTokens else { throw InputError(.usage, field: "evict", value: evict, rule: "needs --cache-tokens") }
        let budget = try ParameterOptions.count(cacheTokens, "cache-tokens", atLeast: 1)
        return .init(format: format, eviction: CacheEviction(rule, budget: budget))
    }
}
