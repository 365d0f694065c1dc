import AttentionCore
import AttentionKernels
import ErrorBounds
import SampleAttention

/// One head in FP32 as the attention kernel reads it, and the same numbers in double precision.
///
/// Heads of a model are read where they are and must outlive this; constructed heads are copied.
public struct KernelHead: Sendable {
    /// One query head that reads one key-value head.
    public let shape: AttentionShape
    /// The same numbers, for the exact computation.
    public let exact: AttentionHead
    private let query, key, value: HeadTensor
    private let owned: OwnedRows?

    /// Query head `queryHead` of a layer, with the key-value head of its group.
    ///
    /// - Throws: `InputError` (`invalidData`) when a number is not finite.
    public init(queryHead: Int, of inputs: LayerInputs) throws(InputError) {
        let shared = inputs.shape.keyValueHead(of: queryHead)
        try self.init(
            query: inputs.query.head(queryHead), key: inputs.key.head(shared), value: inputs.value.head(shared),
            rule: inputs.shape.scores.ofHead(queryHead), owned: nil)
    }

    /// A constructed head with its numbers rounded to FP32. Where Q and K are narrower than V, or V than they, zeros fill up;
    /// the head's own scale goes into Q, since the kernel's is 1/√width.
    ///
    /// - Throws: `InputError` (`invalidData`) when the scaled queries leave the range of Float.
    public init(rounding head: AttentionHead) throws(InputError) {
        let width = max(head.dimension, head.valueDimension)
        let rows = OwnedRows(head, width: width)
        func tensor(_ base: UnsafePointer<Float>, _ tokens: Int) -> HeadTensor {
            HeadTensor(projection: base, heads: 1, tokens: tokens, dimension: width)
        }
        try self.init(
            query: tensor(rows.queries, head.queryCount), key: tensor(rows.keys, head.keyCount),
            value: tensor(rows.values, head.keyCount), rule: head.rule, owned: rows)
    }

    private init(
        query: HeadTensor, key: HeadTensor, value: HeadTensor, rule: ScoreRule, owned: OwnedRows?
    ) throws(InputError) {
        shape = AttentionShape(
            queryHeads: 1, keyValueHeads: 1, queryCount: query.tokens, keyCount: key.tokens, headDimension: query.dimension,
            scores: rule)
        exact = try AttentionHead(queryHead: 0, shape: shape, queries: query, keys: key, values: value)
        self.query = query
        self.key = key
        self.value = value
        self.owned = owned
    }

    /// Runs the kernel under a pattern.
    ///
    /// - Throws: `InputError` (`usage`) when the pattern does not fit the keys.
    public func output(
        keeping pattern: SparsePattern, kernel: AttentionKernel, workspace: AttentionWorkspace
    ) throws(InputError) -> KernelOutput {
        let plan = try AttentionPlan(shape: shape, patterns: [pattern])
        var rows = [Float](repeating: .nan, count: shape.queryCount * shape.headDimension)
        rows.withUnsafeMutableBufferPointer {
            let output = MutableHeadTensor(
                projection: $0.baseAddress!, heads: 1, tokens: shape.queryCount, dimension: shape.headDimension)
            kernel.run(plan, query: query, key: key, value: value, output: output, workspace: workspace)
        }
        return KernelOutput(rows: rows, width: shape.headDimension, rounding: KernelRounding(kernel.rounding))
    }
}

/// The rows of a constructed head as floats. Shapes: [tokens][width], zeros past a row's own width.
private final class OwnedRows: Sendable {
    private let storage: AlignedBuffer<Float>
    private let queryCount, keyCount, width: Int

    var queries: UnsafePointer<Float> { UnsafePointer(storage.base) }
    var keys: UnsafePointer<Float> { queries + queryCount * width }
    var values: UnsafePointer<Float> { keys + keyCount * width }

    init(_ head: AttentionHead, width: Int) {
        queryCount = head.queryCount
        keyCount = head.keyCount
        self.width = width
        storage = AlignedBuffer(count: (head.queryCount + 2 * head.keyCount) * width)
        fill(0, head.queries, head.dimension, times: head.scale * Double(width).squareRoot())
        fill(queryCount, head.keys, head.dimension)
        fill(queryCount + keyCount, head.values, head.valueDimension)
    }

    private func fill(_ firstRow: Int, _ elements: [Double], _ columns: Int, times factor: Double = 1) {
        for index in elements.indices {
            storage[(firstRow + index / columns) * width + index % columns] = Float(factor * elements[index])
        }
    }
}

extension KernelRounding {
    /// How an attention kernel rounds.
    public init(_ facts: RoundingFacts) {
        self.init(
            operandRoundoff: facts.operandRoundoff, polynomialDegree: facts.exponentialDegree, polynomialError: facts.exponentialError,
            tileKeys: facts.tileKeys, partialTiles: facts.partialTiles)
    }
}

extension KernelOutput {
    /// One head of a layer's output that a kernel made. Shapes: output [heads][queryCount][d].
    public init(head: Int, of output: HeadTensor, kernel: AttentionKernel) {
        let rows = (0..<output.tokens).flatMap { UnsafeBufferPointer(start: output.row(head: head, token: $0), count: output.dimension) }
        self.init(rows: rows, width: output.dimension, rounding: KernelRounding(kernel.rounding))
    }
}
