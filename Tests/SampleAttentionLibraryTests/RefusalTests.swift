import AttentionCore
import AttentionTestSupport
import CSampleAttention
import Testing

/// What is wrong with a call is a status and a line, never the end of the process.
@Suite struct RefusalTests {
    static let oracle = NaiveAttention(
        shape: AttentionShape(queryHeads: 4, keyValueHeads: 2, queryCount: 8, keyCount: 12, headDimension: 6), seed: 1)
    static let engine = Engine()

    struct Fault: CustomTestStringConvertible, Sendable {
        let begins: String
        var status = SAMPLE_ATTENTION_USAGE
        let change: @Sendable (inout sample_attention_call) -> Void
        var testDescription: String { begins }
    }

    static let faults = [
        Fault(begins: "call.size: 0: must be sizeof") { $0.size = 0 },
        Fault(begins: "call.size: 18446744073709551615: must") { $0.size = -1 },
        Fault(begins: "call.layer: -1: must be in") { $0.layer = -1 },
        Fault(begins: "call.batch: 0: must be in") { $0.batch = 0 },
        Fault(begins: "call.query_heads: 0: must be in") { $0.query_heads = 0 },
        Fault(begins: "call.key_value_heads: 3: must divide the 4") { $0.key_value_heads = 3 },
        Fault(begins: "call.query_count: 13: must not be more than the 12 keys") { $0.query_count = 13 },
        Fault(begins: "call.key_count: 4294967296: must be in") { $0.key_count = 1 << 32 },
        Fault(begins: "call.head_dimension: 1025: must be in") { $0.head_dimension = 1025 },
        Fault(begins: "call.prompt_length: 11: must not be below the 12 keys") { $0.prompt_length = 11 },
        Fault(begins: "call.batch: 2147483647: is too many") {
            ($0.batch, $0.query_heads, $0.query_count, $0.key_count) = (1 << 31 - 1, 1 << 16, 1 << 20, 1 << 20)
        },
        Fault(begins: "call.query.data: NULL: must be given") { $0.query.data = nil },
        Fault(begins: "call.output.data: NULL: must be given") { $0.output.data = nil },
        Fault(begins: "call.key.data: 0x") { $0.key.data = $0.key.data! + 2 },
        Fault(begins: "call.value.elements: 3: must be") { $0.value.elements = 3 },
        Fault(begins: "call.key.head_stride: -6: must not be negative") { $0.key.head_stride = -6 },
        Fault(begins: "call.value.token_stride: 9223372036854775807: must keep 12 steps") { $0.value.token_stride = .max },
        Fault(begins: "call.output.token_stride: 5: must be at least 6") { $0.output.token_stride = 5 },
        Fault(begins: "call.output.token_stride: 32: must be at least 33") { ($0.output.head_stride, $0.output.token_stride) = (9, 32) },
        Fault(begins: "call.output.head_stride: 0: must be at least 6") { $0.output.head_stride = 0 },
        Fault(begins: "call.score_scale: nan: must be 0") { $0.score_scale = .nan },
        Fault(begins: "call.score_scale: 1e+60: must be 0") { $0.score_scale = 1e60 },
        Fault(begins: "call.soft_cap: -1.0: must be 0, or") { $0.soft_cap = -1 },
        Fault(begins: "call.window: -1: must be in") { $0.window = -1 },
        Fault(begins: "call.sinks: 0x3: must be a multiple of 4") { $0.sinks = UnsafePointer(bitPattern: 3) },
        Fault(begins: "call.log_sum_exp: 0x5: must be a multiple of 4") { $0.log_sum_exp = UnsafeMutablePointer(bitPattern: 5) },
        Fault(begins: "call.certification: NULL: must be given where") { $0.certificates = UnsafeMutablePointer(bitPattern: 64) },
    ]

    @Test(arguments: faults) func faultsAreNamed(fault: Fault) {
        var call = LibraryCall([Self.oracle])
        let answer = call.run(Self.engine, nil, fault.change)
        #expect(answer.status == fault.status && answer.message.hasPrefix(fault.begins), "\(answer)")
        #expect(!answer.message.contains("\n"))
    }

    /// The same call without a fault is made, so that what is refused is the fault.
    @Test func theCallItselfIsFine() {
        var call = LibraryCall([Self.oracle])
        #expect(call.run(Self.engine).isFine)
    }

    @Test func certificationsAreChecked() {
        var asked = sample_attention_certification()
        func answer(_ change: (inout sample_attention_call) -> Void = { _ in }) -> Answer {
            var call = LibraryCall([Self.oracle])
            return withUnsafePointer(to: &asked) { asked in
                call.run(Self.engine) {
                    $0.certification = asked
                    change(&$0)
                }
            }
        }
        #expect(answer().message.hasPrefix("call.certification, struct.size: 0"))
        asked.size = MemoryLayout<sample_attention_certification>.stride
        #expect(answer().isFine)
        #expect(answer { $0.window = 3 }.status == SAMPLE_ATTENTION_UNSUPPORTED)
        #expect(
            answer {
                $0.certificates = UnsafeMutablePointer(bitPattern: 64)
                $0.certificate_size = 12
            }.message.hasPrefix("call.certificate_size: 12: must be sizeof"))
        asked.rows = 1
        #expect(answer().message.hasPrefix("call.certification, rows: 1: must be at least 2"))
        (asked.rows, asked.minimum_mass) = (5, 1.5)
        #expect(answer().message.hasPrefix("call.certification, minimum_mass: 1.5: must be in (0, 1]"))
    }

    @Test func handlesAndPlacesMustBeGiven() {
        var call = sample_attention_call()
        call.size = MemoryLayout<sample_attention_call>.stride
        #expect(Answer { sample_attention_attend(nil, nil, &call, nil, $0, $1) }.message == "engine: NULL: must be given")
        #expect(Answer { sample_attention_attend(Self.engine.handle, nil, nil, nil, $0, $1) }.message == "call: NULL: must be given")
        #expect(Answer { sample_attention_engine_create(nil, nil, $0, $1) }.message == "engine: NULL: must be given")
        #expect(Answer { sample_attention_engine_describe(Self.engine.handle, nil, $0, $1) }.message == "info: NULL: must be given")
        #expect(Answer { sample_attention_config_load("x", nil, $0, $1) }.message == "config: NULL: must be given")
        // Nobody has to ask for the message.
        #expect(Int(sample_attention_attend(nil, nil, nil, nil, nil, 9)) == SAMPLE_ATTENTION_USAGE)
        sample_attention_engine_destroy(nil)
        sample_attention_config_destroy(nil)
    }

    @Test func engineOptionsAreChecked() {
        var options = sample_attention_engine_options()
        options.size = MemoryLayout<sample_attention_engine_options>.stride
        var engine: OpaquePointer?
        func answer() -> Answer { Answer { sample_attention_engine_create(&options, &engine, $0, $1) } }
        options.threads = -1
        #expect(answer().message == "options.threads: -1: must be from 0 to 1024" && engine == nil)
        (options.threads, options.precision) = (1, 9)
        #expect(answer().message.hasPrefix("options.precision: 9: must be a"))
        options.precision = 1
        "mmx".withCString { name in
            options.instruction_set = name
            #expect(answer().message.hasPrefix("options.instruction_set: mmx: must be one of scalar, avx2"))
        }
        "scalar".withCString { name in
            options.instruction_set = name
            #expect(answer().isFine)
        }
        var info = sample_attention_engine_info()
        info.size = MemoryLayout<sample_attention_engine_info>.stride
        #expect(Answer { sample_attention_engine_describe(engine, &info, $0, $1) }.isFine)
        #expect(info.threads == 1 && Int(info.precision) == SAMPLE_ATTENTION_PRECISION_FP32)
        #expect(withUnsafeBytes(of: info.instruction_set) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) } == "scalar")
        sample_attention_engine_destroy(engine)
    }

    /// A message ends within the caller's memory, between characters.
    @Test func messagesAreCut() {
        var text = [CChar](repeating: 1, count: 10)
        let status = text.withUnsafeMutableBufferPointer { sample_attention_config_load("/nö/öö", nil, $0.baseAddress!, 8) }
        #expect(Int(status) == SAMPLE_ATTENTION_USAGE && text == "config:\0".utf8.map { CChar($0) } + [1, 1])
        var config: OpaquePointer?
        let cut = Answer(capacity: 5) { sample_attention_config_load("/nöö", &config, $0, $1) }
        #expect(cut.message == "/nö" && cut.status == SAMPLE_ATTENTION_MISSING_INPUT)
    }

    /// Structs of earlier versions are shorter, and of later ones longer.
    @Test func structsHaveVersions() throws {
        struct Later {
            var call = sample_attention_call()
            var more = 0
        }
        let engine = Self.engine
        var report = [Int](repeating: -5, count: 7)
        report[0] = 16
        func attend(_ size: Int, more: Int) -> Answer? {
            var call = LibraryCall([Self.oracle])
            var answer: Answer?
            _ = call.run(engine) { own in
                var later = Later(call: own, more: more)
                later.call.size = size
                // The larger struct is what is asked about; the call around it then fails on its size.
                own.size = 0
                answer = withUnsafeMutablePointer(to: &later) { later in
                    later.withMemoryRebound(to: sample_attention_call.self, capacity: 1) { later in
                        report.withUnsafeMutableBytes { report in
                            let room = report.baseAddress!.assumingMemoryBound(to: sample_attention_report.self)
                            return Answer { sample_attention_attend(engine.handle, nil, later, room, $0, $1) }
                        }
                    }
                }
            }
            return answer
        }
        let own = MemoryLayout<sample_attention_call>.stride
        #expect(attend(own + 8, more: 0)?.isFine == true)
        // A report of two fields is written as two fields.
        #expect(report == [16, Int(Self.oracle.shape.causalPairs * 4), -5, -5, -5, -5, -5])
        let refused = attend(own + 8, more: 1)
        #expect(refused?.status == SAMPLE_ATTENTION_UNSUPPORTED)
        #expect(refused?.message.hasPrefix("call.size: \(own + 8): this version knows") == true)
        // Without all that stands behind the output: a scale, a cap, a window, sums.
        #expect(attend(MemoryLayout<sample_attention_call>.offset(of: \.score_scale)!, more: 1)?.isFine == true)
    }
}
