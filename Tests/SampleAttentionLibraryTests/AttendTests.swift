import AttentionCore
import AttentionKernels
import AttentionTestSupport
import CSampleAttention
import Foundation
import SampleAttention
import Testing

/// The C functions, called as the header declares them, against the Swift operator and attention by definition.
@Suite struct AttendTests {
    static let shape = AttentionShape(queryHeads: 4, keyValueHeads: 2, queryCount: 300, keyCount: 300, headDimension: 16)
    static let chunk = AttentionShape(queryHeads: 3, keyValueHeads: 1, queryCount: 70, keyCount: 200, headDimension: 20)

    private static func parameters(_ alpha: Double) throws -> SampleAttentionParameters {
        var parameters = SampleAttentionParameters.standard
        parameters.alpha = try Fraction(alpha)
        return parameters
    }

    /// The operator's own numbers, bit for bit, whatever the strides.
    @Test(arguments: [shape, chunk], [true, false]) func floatsAreTheOperators(shape: AttentionShape, isTokenMajor: Bool) throws {
        let oracles = (1...2).map { NaiveAttention(shape: shape, seed: $0) }
        var call = LibraryCall(oracles, isTokenMajor: isTokenMajor)
        let answer = call.run(Engine(), .alpha(0.6)) { $0.prompt_length = 310 }
        #expect(answer.isFine, "\(answer)")
        var kept = 0
        for (batch, oracle) in oracles.enumerated() {
            let (output, report) = try oracle.attended(Self.parameters(0.6), promptLength: 310)
            kept += report.keptPairs.reduce(0, +)
            call.output.visit { b, h, i, t, _ in
                if b == batch { #expect(call.output[b, h, i, t] == Array(output.heads[head: h, token: i])[t]) }
            }
            let sums = call.logSumExp[batch * output.logSumExp.count..<(batch + 1) * output.logSumExp.count]
            #expect(Array(sums) == output.logSumExp)
        }
        #expect(call.report.kept_pairs == kept && call.report.causal_pairs == 2 * shape.queryHeads * shape.causalPairs)
        #expect(kept < 2 * shape.queryHeads * shape.causalPairs * 9 / 10, "nothing was left out")
        #expect(call.report.kernel_seconds > 0 && call.report.selection_seconds > 0)
        // Gaps between rows are nobody's.
        let own = StridedRows(
            batch: call.output.batch, heads: call.output.heads, tokens: call.output.tokens, dimension: call.output.dimension,
            strides: (call.output.batchStride, call.output.headStride, call.output.tokenStride))
        #expect(zip(own.floats, call.output.floats).allSatisfy { $0.isNaN || $0 == $1 })
    }

    /// BF16 rows are those of FP32 that hold the same numbers, and their output is rounded to nearest.
    @Test(arguments: [SAMPLE_ATTENTION_PRECISION_FP32, SAMPLE_ATTENTION_PRECISION_BF16]) func halvesAreFloats(precision: Int) throws {
        let oracle = NaiveAttention(shape: Self.chunk, seed: 5).rounded
        let engine = Engine(precision: precision)
        var floats = LibraryCall([oracle])
        var halves = LibraryCall([oracle], isTokenMajor: false, elements: SAMPLE_ATTENTION_BF16)
        #expect(floats.run(engine).isFine && halves.run(engine).isFine)
        #expect(halves.logSumExp == floats.logSumExp)
        floats.output.visit { b, h, i, t, _ in
            let (exact, rounded) = (floats.output[b, h, i, t], halves.output[b, h, i, t])
            // Half a unit of the last of eight bits.
            #expect(abs(exact - rounded) <= Float(sign: .plus, exponent: exact.exponent - 8, significand: 1), "\(exact) \(rounded)")
        }
        #expect(halves.report.conversion_seconds > 0)
    }

    /// Attention by definition: caps, sinks, scales and windows, without a config.
    @Test(arguments: [0, 25]) func rulesAreTheDefinitions(window: Int) throws {
        let sinks: [Float] = [0.5, -1, 2]
        let shape = AttentionShape(
            queryHeads: 3, keyValueHeads: 1, queryCount: 70, keyCount: 200, headDimension: 20,
            scores: ScoreRule(softCap: 4, sinks: sinks))
        let oracle = NaiveAttention(shape: shape, seed: 8)
        var call = LibraryCall([oracle.with(queries: oracle.query.map { 2 * $0 })])
        let answer = sinks.withUnsafeBufferPointer { sinks in
            call.run(Engine()) {
                $0.sinks = sinks.baseAddress
                // Half the usual scale of queries that are twice as long.
                $0.score_scale = 0.5 / 20.0.squareRoot()
                $0.window = Int64(window)
            }
        }
        #expect(answer.isFine, "\(answer)")
        for (head, row) in [(0, 0), (1, 35), (2, 69)] {
            let expected = oracle.row(head: head, row: row) { window == 0 || $0 > 130 + row - window }
            for t in 0..<20 {
                #expect(abs(Double(call.output[0, head, row, t]) - expected.output[t]) < 1e-5 * max(1, expected.magnitude[t]))
            }
            #expect(abs(Double(call.logSumExp[head * 70 + row]) - expected.logSumExp) < 1e-4)
        }
        let pairs = window == 0 ? shape.causalPairs : 70 * window
        #expect(call.report.kept_pairs == 3 * pairs)
    }

    /// The first numbers of a mean over many: what the operator certifies.
    @Test func certificatesAreTheOperators() throws {
        let oracle = NaiveAttention(shape: Self.shape, seed: 3)
        let certification = try Certification(rows: 40, confidence: 0.9, minimumMass: Fraction(0.5), seed: 7)
        let expected = try #require(
            try oracle.attended(Self.parameters(0.5), certification: certification.seeded(layer: 2)).report.certificates)
        var asked = sample_attention_certification()
        asked.size = MemoryLayout<sample_attention_certification>.stride
        (asked.rows, asked.confidence, asked.minimum_mass, asked.seed) = (40, 0.9, 0.5, 7)
        var call = LibraryCall([oracle])
        var certificates = call.certificates
        let answer = certificates.withUnsafeMutableBufferPointer { room in
            withUnsafePointer(to: &asked) { asked in
                call.run(Engine(), .alpha(0.5)) {
                    $0.layer = 2
                    $0.certification = asked
                    $0.certificates = room.baseAddress
                }
            }
        }
        #expect(answer.isFine, "\(answer)")
        for (own, certificate) in zip(certificates, expected) {
            #expect(own.mean_lower_bound == certificate.meanLowerBound && own.mean_mass == certificate.meanMass)
            #expect(own.share_lower_bound == certificate.shareLowerBound && own.alpha == 0.5 && own.confidence == 0.9)
            #expect(own.mean_error_bound == certificate.meanErrorBound && own.row_error_bound == certificate.rowErrorBound)
            #expect(own.is_dense == (certificate.isDense ? 1 : 0) && own.is_exact == (certificate.isExact ? 1 : 0))
            #expect(own.size == MemoryLayout<sample_attention_certificate>.stride)
        }
        #expect(certificates.contains { $0.mean_lower_bound < 1 })
    }

    /// What a broken number does to the rows that see it is theirs alone; only certificates refuse it.
    @Test func certificatesRefuseWhatIsNoNumber() throws {
        let oracle = NaiveAttention(shape: Self.chunk, seed: 3).with(brokenKey: 150)
        var call = LibraryCall([oracle])
        let engine = Engine()
        #expect(call.run(engine).isFine)
        #expect(call.output[0, 0, 0, 0].isFinite && call.output[0, 0, 69, 0].isNaN)
        var asked = sample_attention_certification()
        asked.size = MemoryLayout<sample_attention_certification>.stride
        let answer = withUnsafePointer(to: &asked) { asked in call.run(engine) { $0.certification = asked } }
        #expect(answer.status == SAMPLE_ATTENTION_INVALID_DATA && answer.message.hasPrefix("layer 0, key-value head 0, key 150: nan"))
    }

    /// Calls at once on one engine are calls in turn.
    @Test func callsMayRunAtOnce() async throws {
        let engine = Engine()
        let shapes = [Self.shape, Self.chunk, Self.chunk, Self.shape]
        let alone = shapes.enumerated().map { index, shape in
            var call = LibraryCall([NaiveAttention(shape: shape, seed: UInt64(index))])
            #expect(call.run(engine, .alpha(0.7)).isFine)
            return call.output.floats
        }
        await withTaskGroup(of: (Int, [Float]).self) { group in
            for (index, shape) in (0..<3).flatMap({ _ in shapes.enumerated() }) {
                group.addTask {
                    var call = LibraryCall([NaiveAttention(shape: shape, seed: UInt64(index))])
                    let answer = call.run(engine, .alpha(0.7))
                    return (index, answer.isFine ? call.output.floats : [])
                }
            }
            for await (index, output) in group { #expect(output == alone[index]) }
        }
    }
}
