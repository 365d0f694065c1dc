import AttentionCore
import AttentionKernels
import AttentionTestSupport
import Parallelism
import SampleAttention

/// Random heads as one layer's call, lent to a test.
struct Fixture {
    static let kernel = try! AttentionKernel(pool: WorkerPool(threads: 2))
    let oracle: NaiveAttention

    var shape: AttentionShape { oracle.shape }

    init(queries: Int = 700, keys: Int? = nil, heads: Int = 4, seed: UInt64 = 7) {
        oracle = NaiveAttention(
            shape: AttentionShape(
                queryHeads: heads, keyValueHeads: heads / 2, queryCount: queries, keyCount: keys ?? queries, headDimension: 16),
            seed: seed)
    }

    init(oracle: NaiveAttention) { self.oracle = oracle }

    func withCall<Result>(layer: Int = 0, promptLength: Int? = nil, _ body: (LayerCall) throws -> Result) rethrows -> Result {
        try oracle.withTensors { query, key, value in
            try body(
                LayerCall(
                    inputs: .init(query: query, key: key, value: value), layer: layer, promptLength: promptLength ?? shape.keyCount,
                    kernel: Self.kernel))
        }
    }

    func patterns(_ method: some PatternMethod, layer: Int = 0) throws -> [SparsePattern] {
        try withCall(layer: layer) { try method.patterns($0, workspace: AttentionWorkspace()) }
    }

    /// Output [token][head · d] and the sums [head][token] of a method.
    func attend(_ method: some AttentionMethod, layer: Int = 0) throws -> (output: [Float], logSumExp: [Float], keptPairs: [Int]) {
        let (report, output, sums) = try run(method, layer: layer, certification: nil)
        return (output, sums, report.keptPairs)
    }

    /// What a method reports when it is asked for certificates, and its output.
    func certify(_ method: some AttentionMethod, _ certification: Certification?) throws -> (report: AttentionReport, output: [Float]) {
        let (report, output, _) = try run(method, layer: 0, certification: certification)
        return (report, output)
    }

    private func run(
        _ method: some AttentionMethod, layer: Int, certification: Certification?
    ) throws -> (report: AttentionReport, output: [Float], logSumExp: [Float]) {
        var output = [Float](repeating: .nan, count: shape.queryHeads * shape.queryCount * shape.headDimension)
        var sums = [Float](repeating: .nan, count: shape.queryHeads * shape.queryCount)
        let report = try output.withUnsafeMutableBufferPointer { output in
            try sums.withUnsafeMutableBufferPointer { sums in
                let target = MutableHeadTensor(
                    projection: output.baseAddress!, heads: shape.queryHeads, tokens: shape.queryCount, dimension: shape.headDimension)
                return try withCall(layer: layer) {
                    try method.attend(
                        $0, output: target, logSumExp: sums.baseAddress!, certification: certification, workspace: AttentionWorkspace())
                }
            }
        }
        return (report, output, sums)
    }

    /// Σ over the given rows of the exact probabilities of each key.
    func columnMass(head: Int, rows: some Sequence<Int>) -> [Double] {
        rows.reduce(into: [Double](repeating: 0, count: shape.keyCount)) { sums, row in
            for (key, probability) in oracle.probabilities(head: head, row: row).enumerated() { sums[key] += probability }
        }
    }

    /// The keys that row `position` keeps.
    func kept(_ pattern: SparsePattern, position: Int) -> Set<Int> {
        Set((0...position).filter { pattern.keeps(key: $0, position: position, shape: shape) })
    }
}
