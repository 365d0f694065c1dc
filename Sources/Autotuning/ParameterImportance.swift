import AttentionCore
import SampleAttention

/// How much of the differences between trials each parameter explains: its main effect.
///
/// η² = Σ_v n_v (ȳ_v − ȳ)² / Σ (y − ȳ)² over the values v of the parameter, with each head's mean taken off y first, because heads
/// differ for other reasons. Main effects only: what two parameters do together counts for neither. Among few trials even a
/// parameter without any effect explains about (values − 1) / trials.
/// Source: the correlation ratio (Fisher 1925); as a measure of importance see Hutter, Hoos and Leyton-Brown (ICML 2014), of which
/// this is the first order.
public struct ParameterImportance: Sendable, Hashable {
    public let name: String
    /// Shares in [0, 1] of the variance of log time and of log output error.
    public let ofTime, ofError: Double

    /// One entry a parameter, over trials of the patterns that read it.
    ///
    /// Complexity: O(trials).
    public static func all(_ trials: [FrozenTrial]) -> [ParameterImportance] {
        let sparse = trials.filter { $0.parameters.pattern != .dense && $0.cost > 0 && $0.error.isFinite }
        let striped = sparse.filter { $0.parameters.pattern.samplesRows }
        let windowed = sparse.filter { $0.parameters.pattern.hasWindow }
        let blocked = sparse.filter { $0.parameters.pattern == .keyBlocks }
        return [
            make("pattern", sparse) { $0.pattern.rawValue }, make("window", windowed) { "\($0.window)" },
            make("alpha", striped) { "\(Int($0.alpha.value * 10))" }, make("sampleRatio", striped) { "\($0.sampleRatio)" },
            make("sinks", sparse) { "\($0.sinks)" },
            make("keyBlockCount", blocked) { "\($0.keyBlockCount)" }, make("keyBlockTokens", blocked) { "\($0.keyBlockTokens)" },
            make("scoredDimensions", blocked) { "\($0.scoredDimensions)" },
            make("alphaSlashes", sparse.filter { $0.parameters.pattern == .columnSlash }) {
                "\(Int(($0.alphaSlashes ?? $0.alpha).value * 10))"
            },
        ]
    }

    private static func make(
        _ name: String, _ trials: [FrozenTrial], _ value: (SampleAttentionParameters) -> String
    ) -> ParameterImportance {
        let values = trials.map { value($0.parameters) }
        return ParameterImportance(
            name: name, ofTime: explained(centred(trials) { logarithm($0.cost) }, by: values),
            ofError: explained(centred(trials) { logarithm($0.error + 1e-9) }, by: values))
    }

    /// Each trial's value less the mean of its head's.
    private static func centred(_ trials: [FrozenTrial], _ value: (FrozenTrial) -> Double) -> [Double] {
        struct Head: Hashable { let length, layer, head: Int }
        let heads = trials.map { Head(length: $0.length, layer: $0.layer, head: $0.head) }
        let means = groupMeans(trials.map(value), by: heads)
        return zip(trials, heads).map { value($0) - means[$1]! }
    }

    private static func explained(_ y: [Double], by values: [String]) -> Double {
        let total = y.reduce(0) { $0 + $1 * $1 }
        guard total > 0 else { return 0 }
        let means = groupMeans(y, by: values)
        return (values.reduce(0) { $0 + means[$1]! * means[$1]! } / total).clampedShare
    }

    private static func groupMeans<Key: Hashable>(_ y: [Double], by keys: [Key]) -> [Key: Double] {
        var sums: [Key: (sum: Double, count: Double)] = [:]
        for (value, key) in zip(y, keys) {
            let old = sums[key] ?? (0, 0)
            sums[key] = (old.sum + value, old.count + 1)
        }
        return sums.mapValues { $0.sum / $0.count }
    }
}
