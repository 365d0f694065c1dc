import AttentionCore
import CSampleAttention
import SampleAttention

/// A call of which everything that can be noticed has been checked.
struct CheckedCall {
    let layer, batch: Int
    let shape: AttentionShape
    let promptLength: Int
    let query, key, value, output: Rows
    /// What queries are multiplied by so that scores over √d are those that were asked for; nil where they are.
    let queryFactor: Float?
    /// The model's own; nil where the config is asked.
    let window: Int?
    let logSumExp: UnsafeMutablePointer<Float>?
    let certification: Certification?
    let certificates: CertificateRoom?

    /// Positions are 32-bit numbers in patterns and kernels; the others are far above any model.
    private static let mostTokens = Int(Int32.max)
    private static let mostHeads = 1 << 16
    private static let largestDimension = 1 << 10
    private static let mostLayers = 1 << 20

    /// - Throws: `InputError`: `usage` for what is missing, out of range or does not fit; `configuration` for a config of another model;
    ///   `unsupported` for certificates of a layer with a window of its own.
    init(_ call: sample_attention_call, config: Config) throws(InputError) {
        layer = try Self.count(call.layer, "layer", in: 0...Self.mostLayers)
        batch = try Self.count(call.batch, "batch", in: 1...Self.mostTokens)
        shape = try Self.shape(call)
        promptLength = try Self.count(call.prompt_length, "prompt_length", in: 0...Self.mostTokens, default: shape.keyCount)
        guard promptLength >= shape.keyCount else {
            throw Self.error("prompt_length", "\(promptLength)", "must not be below the \(shape.keyCount) keys")
        }
        try Self.checkPairs(shape, batch: batch)
        try config.check(layer: layer, shape: shape)
        let queries = RowExtents(batch: batch, heads: shape.queryHeads, tokens: shape.queryCount, dimension: shape.headDimension)
        let keys = RowExtents(batch: batch, heads: shape.keyValueHeads, tokens: shape.keyCount, dimension: shape.headDimension)
        query = try Rows(call.query, queries, field: "call.query")
        key = try Rows(call.key, keys, field: "call.key")
        value = try Rows(call.value, keys, field: "call.value")
        output = try Rows(call.output, queries, field: "call.output")
        queryFactor = try Self.queryFactor(call.score_scale, dimension: shape.headDimension)
        let window = try Self.count(call.window, "window", in: 0...Int(Int64.max))
        self.window = window == 0 ? nil : min(window, shape.keyCount)
        logSumExp = call.log_sum_exp
        if let logSumExp { try checkAlignment(logSumExp, to: 4, "call.log_sum_exp") }
        certification = try Self.certification(call)
        if self.window != nil, certification != nil {
            throw InputError(
                .unsupported, field: "call.certification",
                rule: "a layer with a window of its own computes all of it, and has no certificates")
        }
        certificates = try CertificateRoom(call, count: batch * shape.queryHeads)
    }

    private static func shape(_ call: sample_attention_call) throws(InputError) -> AttentionShape {
        let queryHeads = try count(call.query_heads, "query_heads", in: 1...mostHeads)
        let keyValueHeads = try count(call.key_value_heads, "key_value_heads", in: 1...mostHeads)
        guard queryHeads % keyValueHeads == 0 else {
            throw error("key_value_heads", "\(keyValueHeads)", "must divide the \(queryHeads) query heads, of which each group shares one")
        }
        let queryCount = try count(call.query_count, "query_count", in: 1...mostTokens)
        let keyCount = try count(call.key_count, "key_count", in: 1...mostTokens)
        guard queryCount <= keyCount else {
            throw error("query_count", "\(queryCount)", "must not be more than the \(keyCount) keys, whose last they are")
        }
        return AttentionShape(
            queryHeads: queryHeads, keyValueHeads: keyValueHeads, queryCount: queryCount, keyCount: keyCount,
            headDimension: try count(call.head_dimension, "head_dimension", in: 1...largestDimension),
            scores: try scores(call, queryHeads: queryHeads))
    }

    private static func scores(_ call: sample_attention_call, queryHeads: Int) throws(InputError) -> ScoreRule {
        let cap = call.soft_cap
        guard cap == 0 || (1e-3...1e6).contains(cap) else { throw error("soft_cap", "\(cap)", "must be 0, or from 0.001 to 1000000") }
        guard let sinks = call.sinks else { return ScoreRule(softCap: cap == 0 ? nil : cap) }
        try checkAlignment(sinks, to: 4, "call.sinks")
        let logits = Array(UnsafeBufferPointer(start: sinks, count: queryHeads))
        if let head = logits.firstIndex(where: { !$0.isFinite }) { throw error("sinks[\(head)]", "\(logits[head])", "must be finite") }
        return ScoreRule(softCap: cap == 0 ? nil : cap, sinks: logits)
    }

    /// Pairs of all heads are counted in 64 bits.
    private static func checkPairs(_ shape: AttentionShape, batch: Int) throws(InputError) {
        let (heads, overflows) = batch.multipliedReportingOverflow(by: shape.queryHeads)
        guard !overflows, !heads.multipliedReportingOverflow(by: shape.causalPairs).overflow else {
            throw error("batch", "\(batch)", "is too many for \(shape.queryHeads) heads of \(shape.causalPairs) pairs")
        }
    }

    private static func queryFactor(_ scale: Double, dimension: Int) throws(InputError) -> Float? {
        guard scale != 0 else { return nil }
        let factor = scale * Double(dimension).squareRoot()
        guard scale.isFinite, Float(factor).isNormal else {
            throw error("score_scale", "\(scale)", "must be 0, or a number that FP32 can hold")
        }
        return abs(factor - 1) < 1e-9 ? nil : Float(factor)
    }

    private static func certification(_ call: sample_attention_call) throws(InputError) -> Certification? {
        guard call.certification != nil else {
            guard call.certificates == nil else {
                throw error("certification", "NULL", "must be given where there is room for certificates")
            }
            return nil
        }
        return try InputError.within("call.certification") { () throws(InputError) in
            let asked = try sample_attention_certification.read(call.certification, "struct")
            return try Certification(
                rows: asked.rows == 0 ? Certification.standardRows : Int(asked.rows),
                confidence: asked.confidence == 0 ? Certification.standardConfidence : asked.confidence,
                minimumMass: asked.minimum_mass == 0 ? nil : Fraction(asked.minimum_mass, field: "minimum_mass"), seed: asked.seed)
        }
    }

    private static func count(
        _ number: Int64, _ field: String, in range: ClosedRange<Int>, default standard: Int? = nil
    ) throws(InputError) -> Int {
        if number == 0, let standard { return standard }
        guard range.contains(Int(number)) else { throw error(field, "\(number)", "must be in \(range.lowerBound) ... \(range.upperBound)") }
        return Int(number)
    }

    private static func error(_ field: String, _ value: String, _ rule: String) -> InputError {
        InputError(.usage, field: "call.\(field)", value: value, rule: rule)
    }
}

/// The caller's memory for certificates, one after the other in the size that the caller knows.
struct CertificateRoom {
    private let base: UnsafeMutableRawPointer
    private let size: Int

    /// Nil where the caller has none.
    ///
    /// - Throws: `InputError` (`usage`) where its size or alignment cannot be.
    init?(_ call: sample_attention_call, count: Int) throws(InputError) {
        guard let certificates = call.certificates else { return nil }
        (base, size) = (UnsafeMutableRawPointer(certificates), call.certificate_size)
        let alignment = MemoryLayout<sample_attention_certificate>.alignment
        try checkAlignment(base, to: alignment, "call.certificates")
        guard (MemoryLayout<Int>.size...1 << 16).contains(size), size % alignment == 0 else {
            throw InputError(
                .usage, field: "call.certificate_size", value: "\(size)",
                rule: "must be sizeof of the struct, \(sample_attention_certificate.ownSize)")
        }
    }

    func write(_ certificate: Certificate, at index: Int) {
        var answer = sample_attention_certificate()
        answer.size = size
        answer.is_exact = certificate.isExact ? 1 : 0
        answer.is_dense = certificate.isDense ? 1 : 0
        switch certificate.escalation {
        case .none: answer.escalation = 0
        case .columns: answer.escalation = 1
        case .dense: answer.escalation = 2
        }
        answer.mean_mass = certificate.meanMass
        answer.mean_lower_bound = certificate.meanLowerBound
        answer.confidence = certificate.confidence
        answer.alpha = certificate.alpha
        answer.share_lower_bound = certificate.shareLowerBound
        answer.mean_error_bound = certificate.meanErrorBound
        answer.row_error_bound = certificate.rowErrorBound
        answer.copy(to: UnsafeMutableRawBufferPointer(start: base + index * size, count: size))
    }
}
