import AttentionCore
import Parallelism

extension LayerInputs {
    /// Refuses inputs that no retained mass can be measured of: numbers that are not finite, in rows that a measurement may never look
    /// at, and queries and keys so large that the kernel's scores could leave FP32.
    ///
    /// A score is a sum of d products in some order, scaled: |q · k| ≤ ‖q‖₁ ‖k‖₁, and every partial sum likewise. Below 2¹²⁶ none
    /// overflows, whatever the scale of at most log₂ e and BF16's rounding of operands add.
    ///
    /// - Throws: `InputError` (`invalidData`) that names the head and, where one number is at fault, its row.
    /// Complexity: O((queries + 2 · keys) · d) a head, one reading of Q, K and V; heads run in parallel.
    package func requireFinite(pool: WorkerPool) throws(InputError) {
        let (queries, keys) = (query.heads, key.heads)
        let norms = pool.map(queries + 2 * keys) { index in
            switch index {
            case ..<queries: ValueDiameter.largestNorm(query.head(index))
            case ..<(queries + keys): ValueDiameter.largestNorm(key.head(index - queries))
            default: ValueDiameter.largestNorm(value.head(index - queries - keys))
            }
        }
        for head in 0..<queries where !norms[head].isFinite { throw query.refusal(of: "query", head: head, named: "head \(head)") }
        for head in 0..<keys {
            let name = "key-value head \(head)"
            if !norms[queries + head].isFinite { throw key.refusal(of: "key", head: head, named: name) }
            if !norms[queries + keys + head].isFinite { throw value.refusal(of: "value", head: head, named: name) }
        }
        for head in 0..<queries {
            let (query, key) = (Double(norms[head]), Double(norms[queries + shape.keyValueHead(of: head)]))
            guard max(query, key, query * key) < 0x1p126 else {
                throw InputError(
                    .invalidData, field: "head \(head)", value: "queries of L1 norm \(query), keys of \(key)",
                    rule: "their scores must be finite: the product of the two must be below 2^126")
            }
        }
    }
}

extension HeadTensor {
    /// What is wrong with a head of which some row has no finite L1 norm.
    fileprivate func refusal(of kind: String, head: Int, named name: String) -> InputError {
        let token = (0..<tokens).first { !norm(head: head, token: $0).isFinite } ?? 0
        let row = UnsafeBufferPointer(start: row(head: head, token: token), count: dimension)
        let bad = row.first { !$0.isFinite }
        return InputError(
            .invalidData, field: "\(name), \(kind) \(token)", value: bad.map { "\($0)" } ?? "an L1 norm beyond FP32",
            rule: "must be finite")
    }

    private func norm(head: Int, token: Int) -> Float {
        UnsafeBufferPointer(start: row(head: head, token: token), count: dimension).reduce(0) { $0 + abs($1) }
    }
}
