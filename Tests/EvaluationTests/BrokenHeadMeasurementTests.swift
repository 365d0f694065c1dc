import AttentionCore
import AttentionKernels
import AttentionTestSupport
import DurableFiles
import Evaluation
import HeadProfiling
import LanguageModels
import Parallelism
import RunProvenance
import SampleAttention
import Testing

/// What is measured of a model's heads while it runs: a head that is not finite is refused and named, in whichever layer it is.
@Suite struct BrokenHeadMeasurementTests {
    private let kernel: AttentionKernel

    init() throws { kernel = try AttentionKernel(pool: WorkerPool(threads: 2)) }

    private static let layer = NaiveAttention(
        shape: AttentionShape(queryHeads: 2, keyValueHeads: 1, queryCount: 100, keyCount: 100, headDimension: 8), seed: 3)
    private static let faults: [(oracle: NaiveAttention, place: String)] = [
        (layer.with(brokenKey: 99), "layer 2, key-value head 0, key 99: nan: "),
        (layer.with(brokenQuery: 9, head: 1, as: -.infinity), "layer 2, head 1, query 9: -inf: "),
        (layer.with(brokenValue: 50, as: .infinity), "layer 2, key-value head 0, value 50: inf: "),
        (layer.with(queriesAndKeysTimes: 1e19), "layer 2, head 0: queries of L1 norm "),
    ]

    /// The masses in rows of a comparison, of dense attention too.
    @Test func comparisonsMeasureNoMass() throws {
        for policy in [AttentionPolicy.dense, .fixed(.window(tokens: 9, sinks: 1), name: "window")] {
            for (oracle, place) in Self.faults {
                var audit = RetainedMassAudit(kernel: kernel, policy: policy)
                let error = try #require(throws: InputError.self) {
                    try oracle.withTensors { query, key, value in
                        try audit.attended(
                            LayerAttention(layer: 2, inputs: .init(query: query, key: key, value: value), output: query))
                    }
                }
                #expect(error.code == .invalidData && error.description.hasPrefix(place), "\(error)")
                #expect(audit.heads.isEmpty)
            }
        }
    }

    /// Certificates that a policy asks for in a layer.
    @Test func policiesNameTheLayerOfAHeadThatIsNotCertified() throws {
        let policy = AttentionPolicy.fixed(.standard, name: "sample").certified(try Certification(rows: 8))
        let output = AlignedBuffer<Float>(count: 100 * 2 * 8)
        for (oracle, place) in Self.faults {
            let error = try #require(throws: InputError.self) {
                try oracle.withTensors { query, key, value in
                    _ = try policy.attend(
                        LayerCall(
                            inputs: .init(query: query, key: key, value: value), layer: 2, promptLength: 100, kernel: kernel),
                        output: MutableHeadTensor(projection: output.base, heads: 2, tokens: 100, dimension: 8),
                        workspace: AttentionWorkspace())
                }
            }
            #expect(error.code == .invalidData && error.description.hasPrefix(place), "\(error)")
        }
    }

    /// Weights that are finite, and scores that are not.
    @Test func overflowingModelsAreNeitherAuditedNorProfiled() throws {
        let tiny = try TinyModel(Scratch())
        for index in tiny.tensors.indices where ["q_proj", "k_proj"].contains(where: tiny.tensors[index].name.contains) {
            tiny.tensors[index].values = tiny.tensors[index].values.map { $0 * 1e30 }
        }
        try tiny.write()
        let model = try LanguageModel.load(from: tiny.path, kernel: kernel)
        let tokens = [256] + (0..<199).map { Int32($0 * $0 % 97) }
        let audit = SamplingAudit(standard: .standard, rules: [.stride], ratios: [try Fraction(0.1)], seed: 1)
        let refusal = try #require(throws: InputError.self) {
            try audit.run(PromptLayers(tokens, of: .init(name: "t", sha256: "aa"), model: model))
        }
        #expect(refusal.code == .invalidData && refusal.description.hasPrefix("layer 0, head 0: queries of L1 norm "), "\(refusal)")

        let profiler = ModelProfiler(policy: .fixed(.standard, name: "sample"), scale: ProfileScale(alphas: [.one]))
        let work = WorkExecutor<LayerItem, LayerProfile>()
        let error = try #require(throws: InputError.self) {
            try profiler.profile(PromptLayers(tokens, of: .init(name: "t", sha256: "aa"), model: model), work: work)
        }
        #expect(error.code == .invalidData && work.records.isEmpty, "\(error)")
    }
}
