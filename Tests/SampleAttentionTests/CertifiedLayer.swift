import AttentionCore
import AttentionKernels
import AttentionTestSupport
import Parallelism
import SampleAttention
import Testing

/// Four heads and the parameters they run with.
struct CertifiedLayer {
    let oracle: NaiveAttention
    let parameters: [SampleAttentionParameters]
    let sampleAttention: SampleAttentionOperator
    let workspace = AttentionWorkspace()

    var shape: AttentionShape { oracle.shape }

    /// - Parameter cached: keys before the first query.
    init(queries: Int, cached: Int = 0, _ parameters: [SampleAttentionParameters], spread: Float = 1.2) throws {
        oracle = NaiveAttention(
            shape: AttentionShape(
                queryHeads: parameters.count, keyValueHeads: parameters.count / 2, queryCount: queries, keyCount: cached + queries,
                headDimension: 16), seed: 21, spread: spread)
        self.parameters = parameters
        sampleAttention = SampleAttentionOperator(kernel: try AttentionKernel(pool: WorkerPool(threads: 2)))
    }

    func attend(_ certification: Certification?) throws -> (report: AttentionReport, output: [Float]) {
        var output = [Float](repeating: 0, count: shape.queryCount * shape.queryHeads * shape.headDimension)
        let report = try oracle.withTensors { query, key, value in
            try output.withUnsafeMutableBufferPointer {
                try sampleAttention.attend(
                    .init(query: query, key: key, value: value), parameters: parameters, promptLength: shape.keyCount,
                    output: MutableHeadTensor(
                        projection: $0.baseAddress!, heads: shape.queryHeads, tokens: shape.queryCount, dimension: shape.headDimension),
                    certification: certification, workspace: workspace)
            }
        }
        return (report, output)
    }

    func certificates(_ certification: Certification) throws -> [Certificate] {
        try #require(attend(certification).report.certificates)
    }

    /// The pattern of each head for parameters that may differ from the layer's.
    func patterns(_ parameters: [SampleAttentionParameters]) -> [SparsePattern] {
        oracle.withTensors { query, key, value in
            let selections = sampleAttention.select(
                .init(query: query, key: key, value: value), parameters: parameters, promptLength: shape.keyCount, workspace: workspace)
            return zip(parameters, selections).map {
                SampleAttentionOperator.pattern($0, selection: $1, shape: shape, promptLength: shape.keyCount)
            }
        }
    }

    /// r of every row of a head, from the definition in double precision.
    func masses(_ head: Int, _ pattern: SparsePattern) -> [Double] {
        (0..<shape.queryCount).map { row in
            let position = shape.firstPosition + row
            return oracle.probabilities(head: head, row: row).enumerated().reduce(0) {
                $0 + (pattern.keeps(key: $1.offset, position: position, shape: shape) ? $1.element : 0)
            }
        }
    }

    /// Rows that are neither dense nor scored.
    func unseen(_ head: Int) -> [Int] {
        let scored = Set(parameters[head].samplingPlan(queryCount: shape.queryCount).rows)
        return (0..<shape.queryCount - parameters[head].denseLastRows).filter { !scored.contains($0) }
    }
}
