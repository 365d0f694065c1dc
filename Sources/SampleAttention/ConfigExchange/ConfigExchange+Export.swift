import AttentionCore
import RunProvenance

extension ConfigExchange {
    /// What the config says for prompts of `length` tokens, in the format's words.
    ///
    /// - Parameter file: the config's file, for errors.
    /// - Throws: `InputError` (`unsupported`) naming layer, head and field where a head cannot be expressed: column-slash and
    ///   key-blocks; a head without measurement; columns chosen by α at a length other than the measured one. `configuration` when a density is less
    ///   than its own window's.
    public func exported(_ config: TunedConfig, file: String) throws(InputError) -> Export {
        let bucket = length < config.denseBelow ? nil : config.nearestBucket(promptLength: length).map { config.buckets[$0] }
        var layers: [[ForeignHead]] = []
        var estimated = 0
        for layer in 0..<config.model.layers {
            var heads: [ForeignHead] = []
            for head in 0..<config.model.queryHeads {
                let source = Source(config: config, bucket: bucket, layer: layer, head: head, length: length, file: file)
                heads.append(try foreign(source))
                estimated += source.hasEstimatedColumns ? 1 : 0
            }
            layers.append(heads)
        }
        return Export(layers: layers, estimatedHeads: estimated, warning: exportWarning(estimated: estimated))
    }

    private func exportWarning(estimated: Int) -> String {
        "\(rules.name) picks columns and diagonals by the last \(Self.lastQueries) queries of a prompt: alpha, sampling, column scoring and "
            + "dense last rows are left out"
            + (estimated == 0 ? "" : "; \(estimated) column counts are estimates from the measured density")
    }

    private func foreign(_ head: Source) throws(InputError) -> ForeignHead {
        if head.isDense { return ForeignHead(kind: .verticalSlash, columns: length, window: length, score: head.measured?.meanMass ?? 1) }
        guard let score = head.measured?.meanMass else {
            throw head.refusal("measured", nil, "must be there: \(rules.name) keeps a score for each head")
        }
        switch head.parameters.pattern {
        case .dense: preconditionFailure("dense heads have been answered")
        case .window: return rules.bareWindow(sinks: head.parameters.sinks, window: head.window, score: score)
        case .stripeWindow:
            let columns = try head.columns()
            let window = head.window
            return columns > head.parameters.sinks
                ? ForeignHead(kind: .verticalSlash, columns: columns, window: window, score: score)
                : rules.bareWindow(sinks: head.parameters.sinks, window: window, score: score)
        case .columnSlash:
            throw head.refusal(
                "pattern", head.parameters.pattern.rawValue,
                "\(rules.name) has \(rules.kindNames), none of which keeps blocks by their share (alpha, alphaSlashes)")
        case .keyBlocks:
            throw head.refusal(
                "pattern", head.parameters.pattern.rawValue,
                "\(rules.name) has \(rules.kindNames), none of which chooses keys for each block of queries (keyBlockCount)")
        }
    }
}

/// One head of a config, as it attends at one length.
private struct Source {
    let parameters: SampleAttentionParameters
    let measured: TunedConfig.Measurement?
    private let layer, head, length: Int
    private let measuredLength: Int?
    private let file: String

    /// - Parameter bucket: the one that applies, nil where all is dense or there is none.
    init(config: TunedConfig, bucket: TunedConfig.Bucket?, layer: Int, head: Int, length: Int, file: String) {
        let layers = bucket?.layers ?? []
        let entry = layer < layers.count && head < layers[layer].count ? layers[layer][head] : nil
        parameters = length < config.denseBelow ? .dense : entry?.parameters ?? config.defaults
        measured = entry?.measured
        measuredLength = bucket?.length
        (self.layer, self.head, self.length, self.file) = (layer, head, length, file)
    }

    /// Dense last rows may be all there are.
    var isDense: Bool { parameters.pattern == .dense || parameters.denseLastRows >= length }
    var hasEstimatedColumns: Bool { !isDense && parameters.pattern == .stripeWindow && parameters.columnCount == nil }

    /// Windows in tokens are written as they are, even past the length: relatives cap them.
    var window: Int {
        switch parameters.window {
        case .ratio: parameters.window.positions(promptLength: length)
        case .tokens(let count): count
        }
    }

    /// The fixed count, or the one that the measured density stands for.
    func columns() throws(InputError) -> Int {
        if let count = parameters.columnCount { return count }
        guard let measured, measuredLength == length else {
            throw refusal(
                "columnCount", nil,
                "alpha \(parameters.alpha) keeps no fixed number of columns, and was measured at \(measuredLength ?? 0) tokens, not at \(length)"
            )
        }
        let causal = Double(length * (length + 1) / 2)
        let stripes = StripePairs(
            rows: length - parameters.denseLastRows, window: parameters.window.positions(promptLength: length))
        let densePairs = causal - Double(stripes.rows * (stripes.rows + 1) / 2)
        guard let count = stripes.columnCount(keeping: measured.density * causal - densePairs, sinks: parameters.sinks) else {
            throw refusal(
                "density", "\(measured.density)", "must not be less than what window, sinks and dense last rows keep", .configuration)
        }
        return count
    }

    func refusal(_ field: String, _ value: String?, _ rule: String, _ code: InputError.Code = .unsupported) -> InputError {
        InputError(code, file: file, field: "layer \(layer), head \(head), \(field)", value: value, rule: rule)
    }
}
