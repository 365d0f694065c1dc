import AttentionCore
import AttentionKernels
import AttentionTestSupport
import Autotuning
import HeadProfiling
import Parallelism
import SampleAttention
import Testing

/// Candidates measured on a layer against the definition, row by row.
@Suite struct HeadMeterTests {
    static let shape = AttentionShape(queryHeads: 2, keyValueHeads: 1, queryCount: 512, keyCount: 512, headDimension: 16)

    private let oracle = NaiveAttention(shape: Self.shape, seed: 12, spread: 2)
    private let kernel: AttentionKernel

    init() throws { kernel = try AttentionKernel(pool: WorkerPool(threads: 2)) }

    /// A meter on a layer (the oracle's), with its dense output.
    private func withMeter<Result>(on layer: NaiveAttention? = nil, _ body: (HeadMeter) throws -> Result) throws -> Result {
        try (layer ?? oracle).withTensors { query, key, value in
            let inputs = LayerInputs(query: query, key: key, value: value)
            let buffer = AlignedBuffer<Float>(count: 2 * 512 * 16)
            let output = MutableHeadTensor(projection: buffer.base, heads: 2, tokens: 512, dimension: 16)
            _ = try SampleAttentionOperator(kernel: kernel).attend(
                inputs, parameters: [.dense, .dense], promptLength: 512, output: output, workspace: AttentionWorkspace())
            return try body(
                HeadMeter(
                    LayerAttention(layer: 5, inputs: inputs, output: output.readOnly), kernel: kernel, workspace: AttentionWorkspace()))
        }
    }

    /// No candidate of a broken head is tried, whichever row of it is broken.
    @Test func brokenHeadsAreNotMeasured() throws {
        let faults: [(NaiveAttention, String)] = [
            (oracle.with(brokenKey: 511), "layer 5, key-value head 0, key 511: nan: "),
            (oracle.with(brokenKey: 7, as: .infinity), "layer 5, key-value head 0, key 7: inf: "),
            (oracle.with(brokenQuery: 300, head: 1), "layer 5, head 1, query 300: nan: "),
            (oracle.with(brokenValue: 2, as: -.infinity), "layer 5, key-value head 0, value 2: -inf: "),
            (oracle.with(queriesAndKeysTimes: 1e19), "layer 5, head 0: queries of L1 norm "),
        ]
        for (fault, place) in faults {
            let error = try #require(throws: InputError.self) {
                try withMeter(on: fault) { _ = try $0.measure([.window(tokens: 70, sinks: 5), .dense]) }
            }
            #expect(error.code == .invalidData && error.description.hasPrefix(place), "\(error)")
        }
    }

    private static func candidates() throws -> [SampleAttentionParameters] {
        var stripes = SampleAttentionParameters(alpha: try Fraction(0.6), window: .tokens(40), sampleRatio: try Fraction(0.1))
        stripes.sinks = 3
        var lines = stripes
        lines.pattern = .columnSlash
        let blocks = SampleAttentionParameters.keyBlocks(count: 2, window: 70, sinks: 5)
        var more = blocks
        // Of the same stage 1.
        (more.keyBlockCount, more.sinks) = (4, 0)
        // Of another.
        var half = more
        half.scoredDimensions = try Fraction(0.5)
        return [.window(tokens: 70, sinks: 5), stripes, lines, blocks, more, half, .dense]
    }

    @Test func massAndErrorAreThoseOfTheDefinition() throws {
        try withMeter { meter in
            for parameters in try Self.candidates() {
                let measured = try meter.measure([parameters, parameters])[1]
                let masses = (0..<512).map { row in
                    oracle.probabilities(head: 1, row: row).enumerated().reduce(0.0) {
                        measured.pattern.keeps(key: $1.offset, position: row, shape: Self.shape) ? $0 + $1.element : $0
                    }
                }
                #expect(abs(measured.mass.mean - masses.reduce(0, +) / 512) < 1e-5, "\(parameters)")
                #expect(abs(measured.mass.minimum - masses.min()!) < 1e-5)
                #expect(measured.density == measured.pattern.density(Self.shape))
                #expect(abs(measured.outputError - error(measured.pattern)) < 1e-4 * max(1, measured.outputError))
            }
        }
    }

    /// Candidates whose stage 1 is another's are what they would be by themselves.
    @Test func sharedStagesChangeNothing() throws {
        let candidates = try Self.candidates()
        let alone = try candidates.map { candidate in try patterns([candidate])[0] }
        #expect(alone[4] != alone[5])
        #expect(try patterns(candidates) == alone && patterns(candidates.reversed()) == alone.reversed())
    }

    private func patterns(_ candidates: [SampleAttentionParameters]) throws -> [SparsePattern] {
        var patterns: [SparsePattern] = []
        try withMeter { meter in for candidate in candidates { patterns.append(try meter.measure([candidate, candidate])[1].pattern) } }
        return patterns
    }

    @Test func productsWithGradientsAreThoseOfTheDefinition() throws {
        var generator = SeededGenerator(seed: 8)
        let gradients = (0..<2).map { _ in (0..<512 * 2 * 16).map { _ in Float(generator.normal()) } }
        let pattern = try Self.candidates()[0]
        let (measured, products) = try withMeter { meter in
            let measured = try meter.measure([.dense, pattern])[1]
            let products = gradients[0].withUnsafeBufferPointer { first in
                gradients[1].withUnsafeBufferPointer { second in
                    meter.products(
                        with: [first, second].map { HeadTensor(projection: $0.baseAddress!, heads: 2, tokens: 512, dimension: 16) })
                }
            }
            return (measured.pattern, products)
        }
        #expect(products.map(\.count) == [2, 2] && products[0].allSatisfy { abs($0.sum) < 1e-3 && $0.squares < 1e-6 })
        for (gradient, found) in zip(gradients, products[1]) {
            var (sum, squares) = (0.0, 0.0)
            for row in 0..<512 {
                let dense = oracle.row(head: 1, row: row, keeps: { _ in true }).output
                let sparse = oracle.row(head: 1, row: row, keeps: { measured.keeps(key: $0, position: row, shape: Self.shape) }).output
                let product = (0..<16).reduce(0.0) { $0 + Double(gradient[(row * 2 + 1) * 16 + $1]) * (sparse[$1] - dense[$1]) }
                sum += product
                squares += product * product
            }
            #expect(abs(found.sum - sum) < 1e-4 * squares.squareRoot() && abs(found.squares - squares) < 1e-4 * squares)
        }
    }

    /// Σ ‖o − ô‖² / Σ ‖o‖² of head 1.
    private func error(_ pattern: SparsePattern) -> Double {
        var (lost, whole) = (0.0, 0.0)
        for row in 0..<512 {
            let dense = oracle.row(head: 1, row: row, keeps: { _ in true }).output
            let sparse = oracle.row(head: 1, row: row, keeps: { pattern.keeps(key: $0, position: row, shape: Self.shape) }).output
            lost += zip(dense, sparse).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
            whole += dense.reduce(0) { $0 + $1 * $1 }
        }
        return lost / whole
    }

    /// What stage 1 scored for one candidate serves the others that differ in α and sinks only.
    @Test func sharedSamplesGiveWhatFreshOnesGive() throws {
        func parameters(_ alpha: Double, sinks: Int) throws -> SampleAttentionParameters {
            var parameters = SampleAttentionParameters(alpha: try Fraction(alpha), window: .tokens(40), sampleRatio: try Fraction(0.1))
            parameters.sinks = sinks
            return parameters
        }
        let (first, second) = (try parameters(0.5, sinks: 0), try parameters(0.9, sinks: 8))
        let shared = try withMeter { meter in
            _ = try meter.measure([first, .window(tokens: 10, sinks: 0)])
            return try meter.measure([second, second]).map(\.pattern)
        }
        #expect(shared == (try withMeter { try $0.measure([second, second]).map(\.pattern) }))
        #expect(shared[0] != (try withMeter { try $0.measure([first, first])[0].pattern }))
    }
}

@Suite struct SearchSpaceTests {
    private let space = SearchSpace()

    @Test func pointsOfTheCubeAreParametersOfTheSpace() {
        var random = SeededGenerator(seed: 4)
        var patterns: Set<SampleAttentionParameters.Pattern> = []
        var shapes: Set<[Int]> = []
        var shares: Set<Fraction> = []
        for _ in 0..<500 {
            let point = (0..<SearchSpace.dimensions).map { _ in random.uniform() }
            let parameters = space.parameters(at: point, length: 2048, headDimension: 64)
            patterns.insert(parameters.pattern)
            if parameters.pattern == .keyBlocks {
                shapes.insert([parameters.keyBlockCount, parameters.keyBlockTokens])
                shares.insert(parameters.scoredDimensions)
            } else {
                #expect(parameters.scoredDimensions == .one)
            }
            #expect(parameters == space.parameters(at: point, length: 2048, headDimension: 64))
            #expect(space.sinks.contains(parameters.sinks) && parameters.denseLastRows == 64)
            if parameters.pattern.hasWindow {
                #expect(space.ladder(length: 2048).contains(parameters.window.positions(promptLength: 2048)))
            }
            if parameters.pattern.samplesRows { #expect((0.5...0.991).contains(parameters.alpha.value)) }
        }
        #expect(patterns == [.window, .stripeWindow, .columnSlash, .keyBlocks])
        #expect(shapes == Set(space.keyBlockCounts.flatMap { count in space.keyBlockTokens.map { [count, $0] } }))
        #expect(shares == Set(space.scoredDimensions(headDimension: 64)) && shares.count == 2)
        for corner in [0.0, 1.0] {
            _ = space.parameters(at: Array(repeating: corner, count: SearchSpace.dimensions), length: 2, headDimension: 64)
        }
    }

    /// Candidates that attend alike are equal, so that none is measured twice.
    @Test func whatAPatternDoesNotReadDoesNotTellCandidatesApart() {
        let a = space.parameters(at: [0.1, 0.4, 0.1, 0.1, 0.5, 0.9], length: 4096, headDimension: 64)
        let b = space.parameters(at: [0.1, 0.4, 0.8, 0.9, 0.5, 0.2], length: 4096, headDimension: 64)
        #expect(a.pattern == .window && a == b)
        #expect(a != space.parameters(at: [0.1, 0.9, 0.1, 0.1, 0.5, 0.9], length: 4096, headDimension: 64))
        let c = space.parameters(at: [0.6, 0.1, 0.3, 0.1, 0.5, 0.9], length: 4096, headDimension: 64)
        #expect(c.pattern == .columnSlash && c == space.parameters(at: [0.6, 0.8, 0.3, 0.1, 0.5, 0.9], length: 4096, headDimension: 64))
        let d = space.parameters(at: [0.9, 0.1, 0.3, 0.1, 0.5, 0.9], length: 4096, headDimension: 64)
        #expect(d.pattern == .keyBlocks && d == space.parameters(at: [0.9, 0.1, 0.3, 0.1, 0.5, 0.6], length: 4096, headDimension: 64))
        #expect(d != space.parameters(at: [0.9, 0.1, 0.3, 0.1, 0.5, 0.2], length: 4096, headDimension: 64))
        #expect(d != space.parameters(at: [0.9, 0.1, 0.9, 0.1, 0.5, 0.9], length: 4096, headDimension: 64))
        let e = space.parameters(at: [0.4, 0.1, 0.3, 0.1, 0.5, 0.9], length: 4096, headDimension: 64)
        #expect(e == space.parameters(at: [0.4, 0.1, 0.3, 0.1, 0.5, 0.2], length: 4096, headDimension: 64))
        #expect(e.pattern == .stripeWindow && e.keyBlockCount == SampleAttentionParameters.standard.keyBlockCount)
    }

    @Test func theLadderReachesHalfThePrompt() {
        #expect(space.ladder(length: 4096).last == 2048 && space.ladder(length: 4096).first == 32)
        #expect(space.ladder(length: 40) == [20] && space.ladder(length: 1) == [1])
    }

    @Test func theLadderOfKeyBlocksReachesAQuarterOfThePrompt() {
        func counts(_ length: Int) -> [Int] { space.keyBlockLadder(length: length, headDimension: 64).map(\.keyBlockCount) }
        #expect(counts(4096) == [4, 8, 16, 32] && counts(4095) == [4, 8, 16] && counts(32768) == [4, 8, 16, 32, 64, 128, 256])
        #expect(counts(1) == [4] && counts(1023) == [4])
        let ladder = space.keyBlockLadder(length: 4096, headDimension: 64)
        #expect(ladder.allSatisfy { $0.scoredDimensions.value == 0.5 && $0.window == .tokens(128) && $0.keyBlockTokens == 32 })
        for (dimension, share) in [(32, 0.5), (64, 0.5), (128, 0.5), (192, 64 / 192.0), (256, 0.25), (512, 0.25)] {
            let scored = space.keyBlockLadder(length: 4096, headDimension: dimension).map(\.scoredDimensions.value)
            #expect(Set(scored) == [share], "\(dimension)")
        }
        var without = space
        without.patterns = [.window]
        #expect(without.keyBlockLadder(length: 4096, headDimension: 64).isEmpty)
    }
}
