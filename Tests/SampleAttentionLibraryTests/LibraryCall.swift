import AttentionCore
import AttentionKernels
import AttentionTestSupport
import CSampleAttention
import Parallelism
import SampleAttention

/// What a C function answered.
struct Answer: Hashable {
    let status: Int
    let message: String

    init(capacity: Int = 400, _ body: (_ message: UnsafeMutablePointer<CChar>, _ capacity: Int) -> Int32) {
        var text = [CChar](repeating: 0, count: capacity)
        status = Int(text.withUnsafeMutableBufferPointer { body($0.baseAddress!, capacity) })
        message = text.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }

    var isFine: Bool { status == SAMPLE_ATTENTION_OK && message.isEmpty }
}

/// Handles that end with the test.
final class Engine: @unchecked Sendable {
    let handle: OpaquePointer

    init(threads: Int32 = 2, precision: Int = SAMPLE_ATTENTION_PRECISION_FP32) {
        var options = sample_attention_engine_options()
        options.size = MemoryLayout<sample_attention_engine_options>.stride
        (options.threads, options.precision) = (threads, Int32(precision))
        var made: OpaquePointer?
        let answer = Answer { sample_attention_engine_create(&options, &made, $0, $1) }
        precondition(answer.isFine, answer.message)
        handle = made!
    }

    deinit { sample_attention_engine_destroy(handle) }
}

final class Config {
    let handle: OpaquePointer

    init(_ make: (_ config: UnsafeMutablePointer<OpaquePointer?>, _ message: UnsafeMutablePointer<CChar>, _ capacity: Int) -> Int32) {
        var made: OpaquePointer?
        let answer = Answer { make(&made, $0, $1) }
        precondition(answer.isFine, answer.message)
        handle = made!
    }

    static func alpha(_ alpha: Double) -> Config { Config { sample_attention_config_alpha(alpha, $0, $1, $2) } }

    deinit { sample_attention_config_destroy(handle) }
}

/// Rows [batch][head][token][dimension] somewhere in memory, with strides.
struct StridedRows {
    let batch, heads, tokens, dimension: Int
    let batchStride, headStride, tokenStride: Int
    var floats: [Float]

    /// - Parameter value: the number of a place, for rows that are read.
    init(
        batch: Int, heads: Int, tokens: Int, dimension: Int, strides: (batch: Int, head: Int, token: Int),
        _ value: (_ batch: Int, _ head: Int, _ token: Int, _ t: Int) -> Float = { _, _, _, _ in .nan }
    ) {
        (self.batch, self.heads, self.tokens, self.dimension) = (batch, heads, tokens, dimension)
        (batchStride, headStride, tokenStride) = strides
        floats = [Float](
            repeating: -77, count: (batch - 1) * batchStride + (heads - 1) * headStride + (tokens - 1) * tokenStride + dimension)
        visit { floats[$4] = value($0, $1, $2, $3) }
    }

    func visit(_ body: (_ batch: Int, _ head: Int, _ token: Int, _ t: Int, _ place: Int) -> Void) {
        for b in 0..<batch {
            for h in 0..<heads {
                for i in 0..<tokens {
                    for t in 0..<dimension { body(b, h, i, t, b * batchStride + h * headStride + i * tokenStride + t) }
                }
            }
        }
    }

    subscript(batch: Int, head: Int, token: Int, t: Int) -> Float {
        floats[batch * batchStride + head * headStride + token * tokenStride + t]
    }

    /// The numbers in BF16, which drops their lower half: those of the tests have none.
    var halves: [UInt16] { floats.map { UInt16($0.bitPattern >> 16) } }

    func input(_ data: UnsafeRawPointer, _ elements: Int) -> sample_attention_tensor {
        sample_attention_tensor(
            data: data, batch_stride: Int64(batchStride), head_stride: Int64(headStride), token_stride: Int64(tokenStride),
            elements: Int32(elements), reserved: 0)
    }

    func output(_ data: UnsafeMutableRawPointer, _ elements: Int) -> sample_attention_output {
        sample_attention_output(
            data: data, batch_stride: Int64(batchStride), head_stride: Int64(headStride), token_stride: Int64(tokenStride),
            elements: Int32(elements), reserved: 0)
    }
}

/// A call on the numbers of an oracle for each batch, in memory with gaps, and what it gave.
struct LibraryCall {
    let oracles: [NaiveAttention]
    /// Token-major with gaps, or head-major with others.
    var isTokenMajor = true
    var elements = SAMPLE_ATTENTION_FP32
    /// Numbers that the memory of sums and certificates holds before.
    var logSumExp: [Float]
    var certificates: [sample_attention_certificate]
    var report = sample_attention_report()
    var output: StridedRows

    var shape: AttentionShape { oracles[0].shape }

    init(_ oracles: [NaiveAttention], isTokenMajor: Bool = true, elements: Int = SAMPLE_ATTENTION_FP32) {
        self.oracles = oracles
        self.isTokenMajor = isTokenMajor
        self.elements = elements
        let shape = oracles[0].shape
        logSumExp = Array(repeating: .nan, count: oracles.count * shape.queryHeads * shape.queryCount)
        certificates = Array(repeating: .init(), count: oracles.count * shape.queryHeads)
        output = Self.rows(oracles, isTokenMajor: isTokenMajor, heads: shape.queryHeads, tokens: shape.queryCount) { _ in nil }
        report.size = MemoryLayout<sample_attention_report>.stride
    }

    private static func rows(
        _ oracles: [NaiveAttention], isTokenMajor: Bool, heads: Int, tokens: Int, _ numbers: (NaiveAttention) -> [Float]?
    ) -> StridedRows {
        let d = oracles[0].shape.headDimension
        let strides =
            isTokenMajor
            ? (batch: tokens * (heads * (d + 3) + 5) + 7, head: d + 3, token: heads * (d + 3) + 5)
            : (batch: heads * (tokens * (d + 1) + 9), head: tokens * (d + 1) + 9, token: d + 1)
        let all = oracles.map(numbers)
        return StridedRows(batch: oracles.count, heads: heads, tokens: tokens, dimension: d, strides: strides) {
            all[$0]?[($2 * heads + $1) * d + $3] ?? .nan
        }
    }

    /// Makes the call.
    ///
    /// - Parameter change: what is changed of it before it is made.
    mutating func run(
        _ engine: Engine, _ config: Config? = nil, _ change: (inout sample_attention_call) -> Void = { _ in }
    ) -> Answer {
        let query = rows(\.query, heads: shape.queryHeads, tokens: shape.queryCount)
        let key = rows(\.key, heads: shape.keyValueHeads, tokens: shape.keyCount)
        let value = rows(\.value, heads: shape.keyValueHeads, tokens: shape.keyCount)
        var call = sample_attention_call()
        call.size = MemoryLayout<sample_attention_call>.stride
        (call.batch, call.query_heads, call.key_value_heads) = (Int64(oracles.count), Int64(shape.queryHeads), Int64(shape.keyValueHeads))
        (call.query_count, call.key_count, call.head_dimension) = (
            Int64(shape.queryCount), Int64(shape.keyCount), Int64(shape.headDimension)
        )
        call.soft_cap = shape.scores.softCap ?? 0
        call.certificate_size = MemoryLayout<sample_attention_certificate>.stride
        let elements = elements
        let own = output
        return withNumbers(query) { queries in
            withNumbers(key) { keys in
                withNumbers(value) { values in
                    withOutput(own) { outputs, sums, report in
                        call.query = query.input(queries, elements)
                        call.key = key.input(keys, elements)
                        call.value = value.input(values, elements)
                        call.output = own.output(outputs, elements)
                        call.log_sum_exp = sums
                        change(&call)
                        return Answer { sample_attention_attend(engine.handle, config?.handle, &call, report, $0, $1) }
                    }
                }
            }
        }
    }

    private func rows(_ numbers: KeyPath<NaiveAttention, [Float]>, heads: Int, tokens: Int) -> StridedRows {
        Self.rows(oracles, isTokenMajor: isTokenMajor, heads: heads, tokens: tokens) { $0[keyPath: numbers] }
    }

    private func withNumbers<Result>(_ rows: StridedRows, _ body: (UnsafeRawPointer) -> Result) -> Result {
        elements == SAMPLE_ATTENTION_FP32
            ? rows.floats.withUnsafeBytes { body($0.baseAddress!) } : rows.halves.withUnsafeBytes { body($0.baseAddress!) }
    }

    private mutating func withOutput<Result>(
        _ rows: StridedRows,
        _ body: (UnsafeMutableRawPointer, UnsafeMutablePointer<Float>, UnsafeMutablePointer<sample_attention_report>) -> Result
    ) -> Result {
        var halves = rows.halves
        defer { if elements == SAMPLE_ATTENTION_BF16 { output.floats = halves.map { Float(bitPattern: UInt32($0) << 16) } } }
        return logSumExp.withUnsafeMutableBufferPointer { sums in
            if elements == SAMPLE_ATTENTION_BF16 {
                return halves.withUnsafeMutableBytes { body($0.baseAddress!, sums.baseAddress!, &report) }
            }
            return output.floats.withUnsafeMutableBytes { body($0.baseAddress!, sums.baseAddress!, &report) }
        }
    }
}

extension NaiveAttention {
    /// The same with numbers that BF16 holds.
    var rounded: NaiveAttention {
        func cut(_ numbers: [Float]) -> [Float] { numbers.map { Float(bitPattern: $0.bitPattern & 0xFFFF_0000) } }
        return with(queries: cut(query)).with(keys: cut(key)).with(values: cut(value))
    }

    /// What the Swift operator makes of the same numbers, and its report.
    func attended(
        _ parameters: SampleAttentionParameters, precision: Precision = .fp32, promptLength: Int? = nil, certification: Certification? = nil
    ) throws -> (output: AttentionOutput, report: AttentionReport) {
        func array(_ numbers: [Float], heads: Int, tokens: Int) throws -> HeadArray {
            try HeadArray(numbers, heads: heads, tokens: tokens, dimension: shape.headDimension, layout: .tokenMajor)
        }
        return try SampleAttentionOperator(kernel: AttentionKernel(precision: precision, pool: WorkerPool(threads: 2))).attend(
            query: array(query, heads: shape.queryHeads, tokens: shape.queryCount),
            key: array(key, heads: shape.keyValueHeads, tokens: shape.keyCount),
            value: array(value, heads: shape.keyValueHeads, tokens: shape.keyCount),
            parameters: Array(repeating: parameters, count: shape.queryHeads), promptLength: promptLength, certification: certification)
    }
}
