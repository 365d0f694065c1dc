import AttentionCore
import Reporting
import RunProvenance
import SampleAttention

/// A config as people read it.
package struct ConfigText {
    let config: TunedConfig
    let selection: ConfigHeads

    package init(config: TunedConfig, selection: ConfigHeads) { (self.config, self.selection) = (config, selection) }

    /// Provenance, then a table for each bucket, or for the one that applies to prompts of `length` tokens.
    package func text(length: Int?) -> String {
        let buckets = ConfigHeads.buckets(of: config, length: length)
        var text = header
        if let length { text += "\n" + applies(length, bucket: buckets.first) + "\n" }
        for bucket in buckets {
            text += "\n" + (length == nil ? reach(of: bucket) + "\n\n" : "")
            text += table(selection.entries(of: config, in: bucket), promptLength: length ?? bucket.length).text()
        }
        if let length, buckets.isEmpty, length >= config.denseBelow {
            text += "\n" + table(selection.entries(of: config, in: nil), promptLength: length).text()
        }
        return text
    }

    private var header: String {
        let provenance = config.provenance
        let lines = [
            ("model", config.model.summary),
            ("made", "\(provenance.date) by version \(provenance.tool.version) (\(provenance.tool.commit))"),
            ("machine", provenance.machine.summary), ("seed", "\(provenance.seed)"),
            ("texts", provenance.texts.map { "\($0.name) (\($0.sha256.prefix(12)))" }.joined(separator: ", ")),
            ("buckets", config.buckets.map { NumberFormat.count($0.length) }.joined(separator: ", ") + " tokens"),
            ("dense", config.denseBelow == 0 ? "at no length as a whole" : "below \(NumberFormat.count(config.denseBelow)) tokens"),
            ("defaults", Self.summary(config.defaults)),
        ]
        return lines.map { $0.0 + String(repeating: " ", count: 10 - $0.0.count) + $0.1 + "\n" }.joined()
    }

    private func applies(_ length: Int, bucket: TunedConfig.Bucket?) -> String {
        let prompt = "\(NumberFormat.count(length)) tokens: "
        if length < config.denseBelow { return prompt + "dense, as every prompt below \(NumberFormat.count(config.denseBelow))" }
        guard let bucket else { return prompt + "the defaults, as there are no buckets" }
        return prompt + "the bucket of \(NumberFormat.count(bucket.length)), the nearest in ratio"
    }

    /// The bucket's length and the prompts that take it.
    private func reach(of bucket: TunedConfig.Bucket) -> String {
        let lengths = config.buckets.map(\.length)
        let index = lengths.firstIndex(of: bucket.length) ?? 0
        let least = max(config.denseBelow, index == 0 ? 1 : Self.lastLength(nearer: lengths[index - 1], than: lengths[index]) + 1)
        let range =
            index + 1 == lengths.count
            ? "from \(NumberFormat.count(least)) up"
            : "of \(NumberFormat.count(least)) to \(NumberFormat.count(Self.lastLength(nearer: lengths[index], than: lengths[index + 1])))"
        return "\(NumberFormat.count(bucket.length)) tokens, for prompts \(range):"
    }

    /// ⌊√(shorter · longer)⌋: equal ratios go to the shorter one.
    private static func lastLength(nearer shorter: Int, than longer: Int) -> Int {
        Int((Double(shorter) * Double(longer)).squareRoot())
    }

    private func table(_ entries: [ConfigHeads.Entry], promptLength: Int) -> TextTable {
        var table = TextTable(
            columns: [
                .right("layer"), .right("head"), .left("pattern"), .right("window"), .left("keeps"), .right("sinks"), .left("rows scored"),
                .right("mean mass"), .right("p1 mass"), .right("min mass"), .right("density"),
            ])
        for entry in entries {
            let parameters = Self.cells(entry.parameters, promptLength: promptLength)
            table.append(["\(entry.layer)", "\(entry.head)"] + parameters + Self.cells(entry.measured))
        }
        return table
    }

    /// Pattern, window, what is kept, sinks and sampled rows; a dash where the pattern has no use for it.
    private static func cells(_ parameters: SampleAttentionParameters, promptLength: Int) -> [String] {
        let pattern = parameters.pattern.rawValue
        if parameters.pattern == .dense { return [pattern] + Array(repeating: NumberFormat.missing, count: 4) }
        let window = parameters.pattern.hasWindow ? window(parameters.window, promptLength: promptLength) : NumberFormat.missing
        return [
            pattern, window, kept(parameters) ?? NumberFormat.missing, "\(parameters.sinks)",
            scored(parameters) ?? NumberFormat.missing,
        ]
    }

    private static func cells(_ measured: TunedConfig.Measurement?) -> [String] {
        guard let measured else { return Array(repeating: NumberFormat.missing, count: 4) }
        return [measured.meanMass, measured.p1Mass, measured.minMass].map { NumberFormat.fixed($0, decimals: 4) }
            + [NumberFormat.percent(measured.density)]
    }

    private static func window(_ window: SampleAttentionParameters.Window, promptLength: Int) -> String {
        switch window {
        case .tokens(let count): NumberFormat.count(count)
        case .ratio(let ratio):
            "\(NumberFormat.percent(ratio.value)) = \(NumberFormat.count(window.positions(promptLength: promptLength)))"
        }
    }

    /// What is kept beside window and sinks; nil where nothing is.
    private static func kept(_ parameters: SampleAttentionParameters) -> String? {
        switch parameters.pattern {
        case .dense, .window: return nil
        case .stripeWindow:
            return parameters.columnCount.map { "\(NumberFormat.count($0)) columns" } ?? "α \(parameters.alpha)"
        case .columnSlash: return "α \(parameters.alpha)" + (parameters.alphaSlashes.map { ", slashes \($0)" } ?? "")
        case .keyBlocks: return "\(NumberFormat.count(parameters.keyBlockCount)) blocks of \(parameters.keyBlockTokens)"
        }
    }

    /// Which rows stage 1 scores; nil where it scores none.
    private static func scored(_ parameters: SampleAttentionParameters) -> String? {
        switch parameters.pattern {
        case .dense, .window: nil
        case .stripeWindow, .columnSlash: "\(NumberFormat.percent(parameters.sampleRatio.value)) \(parameters.sampling.rawValue)"
        case .keyBlocks:
            "all, in INT8"
                + (parameters.scoredDimensions == .one ? "" : ", \(NumberFormat.percent(parameters.scoredDimensions.value)) of coordinates")
        }
    }

    private static func summary(_ parameters: SampleAttentionParameters) -> String {
        if parameters.pattern == .dense { return "dense" }
        let window: String? =
            switch parameters.window {
            case _ where !parameters.pattern.hasWindow: nil
            case .tokens(let count): "window \(NumberFormat.count(count))"
            case .ratio(let ratio): "window \(NumberFormat.percent(ratio.value))"
            }
        let rows = "\(NumberFormat.percent(parameters.sampleRatio.value)) of rows by \(parameters.sampling.rawValue)"
        return [
            parameters.pattern.rawValue, kept(parameters), window, parameters.pattern.samplesRows ? rows : nil, "\(parameters.sinks) sinks",
        ].compactMap(\.self)
            .joined(separator: ", ")
    }
}
