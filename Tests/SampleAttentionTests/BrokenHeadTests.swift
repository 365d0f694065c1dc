import AttentionCore
import AttentionKernels
import AttentionTestSupport
import Parallelism
import SampleAttention
import Testing

/// A head with a number that is none, or infinite, keeps no share of its mass: nothing that measures it may say 1.
@Suite struct BrokenHeadTests {
    /// A way to break one head of a layer, and how a refusal names it.
    struct Fault: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let place: String
        let oracle: @Sendable (NaiveAttention) -> NaiveAttention

        init(_ description: String, _ place: String, _ oracle: @escaping @Sendable (NaiveAttention) -> NaiveAttention) {
            testDescription = description
            self.place = place
            self.oracle = oracle
        }

        /// Any of Q, K and V, in the first row, in the middle and in the last, which only the last row sees and no selection samples.
        static let all: [Fault] =
            [Float.nan, .infinity, -.infinity].flatMap { number in
                [0, 150, 299].flatMap { token in
                    [
                        Fault("key \(token) \(number)", "key-value head 0, key \(token): \(number)") {
                            $0.with(brokenKey: token, as: number)
                        },
                        Fault("query \(token) \(number)", "head 3, query \(token): \(number)") {
                            $0.with(brokenQuery: token, head: 3, as: number)
                        },
                        Fault("value \(token) \(number)", "key-value head 1, value \(token): \(number)") {
                            $0.with(brokenValue: token, as: number)
                        },
                    ]
                }
            } + [Fault("scores beyond FP32", "head 0: queries of L1 norm ") { $0.with(queriesAndKeysTimes: 1e19) }]
    }

    static let shape = AttentionShape(queryHeads: 4, keyValueHeads: 2, queryCount: 300, keyCount: 300, headDimension: 12)
    static let layer = NaiveAttention(shape: shape, seed: 5)

    private func attend(
        _ oracle: NaiveAttention, _ parameters: SampleAttentionParameters, _ certification: Certification?
    ) throws -> AttentionReport {
        let output = AlignedBuffer<Float>(count: 300 * 4 * 12)
        return try oracle.withTensors { query, key, value in
            try SampleAttentionOperator(kernel: AttentionKernel(pool: WorkerPool(threads: 2))).attend(
                .init(query: query, key: key, value: value), parameters: Array(repeating: parameters, count: 4), promptLength: 300,
                output: MutableHeadTensor(projection: output.base, heads: 4, tokens: 300, dimension: 12), certification: certification,
                workspace: AttentionWorkspace())
        }
    }

    /// Also where every head is dense, and where the broken row is one that no certificate would draw.
    @Test(arguments: Fault.all) func noCertificateIsGiven(_ fault: Fault) throws {
        var sparse = SampleAttentionParameters(alpha: try Fraction(0.6), window: .tokens(20), sampleRatio: try Fraction(0.05))
        sparse.denseLastRows = 64
        var lines = sparse
        lines.pattern = .columnSlash
        for parameters in [sparse, lines, .dense, .window(tokens: 30, sinks: 2), .keyBlocks(count: 2, window: 30, sinks: 2)] {
            for least in [nil, try Fraction(0.9)] {
                let error = try #require(throws: InputError.self) {
                    try attend(fault.oracle(Self.layer), parameters, Certification(rows: 16, minimumMass: least))
                }
                #expect(error.code == .invalidData && error.description.hasPrefix(fault.place), "\(error)")
            }
            // Without a certificate nothing is claimed, and nothing traps.
            _ = try attend(fault.oracle(Self.layer), parameters, nil)
        }
    }

    /// The largest numbers that a kernel can do: what is refused above is not refused for being large.
    @Test func largeHeadsAreCertified() throws {
        let certificates = try attend(
            Self.layer.with(queriesAndKeysTimes: 1e16), .window(tokens: 30, sinks: 2), Certification(rows: 16)
        ).certificates
        let masses = try #require(certificates).map(\.meanMass)
        #expect(masses.count == 4 && masses.allSatisfy { 0 < $0 && $0 < 1 }, "\(masses)")
    }

    @Test func extentsOfBrokenValuesAreNotFinite() throws {
        for token in [0, 1, 150, 299] {
            for number in [Float.nan, .infinity, -.infinity] {
                Self.layer.with(brokenValue: token, as: number).withTensors { query, key, value in
                    let bounds = ValueDiameter.bounds(LayerInputs(query: query, key: key, value: value), pool: WorkerPool(threads: 1))
                    #expect(!bounds[1].radius.isFinite && !bounds[1].diameter.isFinite, "\(number) at \(token)")
                    #expect(bounds[0].radius.isFinite && bounds[0].diameter.isFinite)
                }
            }
        }
    }

    /// A broken column among the sampled rows' masses: no share was kept, and certainly not all.
    @Test(arguments: [Float.nan, -.nan, .infinity]) func selectionsOfBrokenMassesKeepNoShare(_ number: Float) throws {
        for alpha in [0.5, 1] {
            for scoring in SampleAttentionParameters.ColumnScoring.allCases {
                for count in [nil, 3] {
                    var parameters = SampleAttentionParameters(
                        alpha: try Fraction(alpha), window: .tokens(2), sampleRatio: .one)
                    parameters.columnScoring = scoring
                    parameters.columnCount = count
                    for place in [0, 7] {
                        var masses = [Float](repeating: 0.25, count: 8)
                        masses[place] = number
                        let stripes = StripeSelection.fewest(columnMass: masses, rows: 4, parameters: parameters)
                        #expect(stripes.sampledMass.isNaN, "\(stripes)")
                        let whole = [Float](repeating: 0.25, count: 8)
                        for (columns, slashes) in [(masses, whole), (whole, masses)] {
                            let lines = ColumnSlashSelection.fewest(columnMass: columns, slashMass: slashes, parameters: parameters)
                            #expect(lines.sampledMass.isNaN, "\(lines)")
                        }
                    }
                }
            }
        }
    }

    @Test func strataOfBrokenMassesHaveNoMean() {
        let strata = RowStrata(queryCount: 10, denseLastRows: 2, scored: [1, 5], sampledMass: .nan)
        #expect(strata.scoredMass.isNaN)
    }
}
