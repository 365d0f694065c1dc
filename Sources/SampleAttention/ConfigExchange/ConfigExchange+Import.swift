import AttentionCore
import Foundation
import RunProvenance

extension ConfigExchange {
    /// The config of one bucket, `length`, that a file of the format stands for.
    ///
    /// Nothing is measured: mean mass is the file's score if all of its scores can be shares, and 0 otherwise; p1 and minimum are
    /// 0, which promises nothing; the density is the most that window and columns can keep.
    ///
    /// - Parameters:
    ///   - data: the file's bytes, from anywhere.
    ///   - file: its path, for errors.
    ///   - model: the model it is for, which it does not name: layers and heads must match.
    /// - Throws: `InputError` with file, field, value and rule: `invalidData` for what is not such a file, `configuration` for other
    ///   layers or heads than the model's, `unsupported` for patterns without counterpart (`block_sparse`).
    public func imported(
        _ data: Data, file: String, model: ModelIdentity, provenance: Provenance
    ) throws(InputError) -> Import {
        let layers = try ForeignFile(file: file, rules: rules).layers(data, model: model)
        let hasShares = layers.allSatisfy { $0.allSatisfy { (0...1).contains($0.score) } }
        let heads = layers.map { $0.map { TunedConfig.Head(parameters: parameters($0), measured: measurement($0, hasShare: hasShares)) } }
        let config = TunedConfig(
            model: model, provenance: provenance, denseBelow: 0, defaults: .dense, buckets: [.init(length: length, layers: heads)])
        return Import(config: config, warning: importWarning(hasShares: hasShares))
    }

    private func importWarning(hasShares: Bool) -> String {
        "slash lines become a window of the nearest tokens (\(rules.name) picks the heaviest diagonals, which are mostly but not always "
            + "the nearest); columns are chosen by the last \(Self.lastQueries) rows, as there"
            + (hasShares ? "" : "; its scores are not shares of the mass and are dropped") + "; p1 and min mass are not in the file"
    }

    /// Everything at this length and below. Sizes past the length that are not both so are kept: longer prompts need them.
    private func isDense(_ head: ForeignHead) -> Bool { head.kind == .verticalSlash && min(head.columns, head.window) >= length }

    private func parameters(_ head: ForeignHead) -> SampleAttentionParameters {
        if isDense(head) { return .dense }
        if head.kind == .streaming {
            var parameters = SampleAttentionParameters.window(tokens: head.window, sinks: head.columns)
            parameters.denseLastRows = 0
            return parameters
        }
        // 64 rows at this length; at most 1, so never out of range.
        let ratio = try! Fraction(min(1, Double(Self.lastQueries) / Double(length)))
        var parameters = SampleAttentionParameters(
            alpha: SampleAttentionParameters.standard.alpha, window: .tokens(head.window), sampleRatio: ratio)
        parameters.columnCount = head.columns
        parameters.sampling = .lastRows
        parameters.columnScoring = .allMass
        parameters.denseLastRows = 0
        return parameters
    }

    private func measurement(_ head: ForeignHead, hasShare: Bool) -> TunedConfig.Measurement {
        if isDense(head) { return .init(meanMass: 1, p1Mass: 1, minMass: 1, density: 1) }
        let stripes = StripePairs(rows: length, window: head.window)
        let pairs = stripes.windowPairs + stripes.columnPairs(first: head.columns)
        return .init(
            meanMass: hasShare ? head.score : 0, p1Mass: 0, minMass: 0,
            density: Double(pairs) / Double(length * (length + 1) / 2))
    }
}
