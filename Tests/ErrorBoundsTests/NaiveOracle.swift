import AttentionCore
import ErrorBounds
import Foundation

/// Attention by the definition: one row at a time, plain loops, no blocks and no matrix library.
struct NaiveOracle {
    let head: AttentionHead
    let pattern: SparsePattern

    struct Row {
        var retained = 0.0
        var dropped = 0.0
        var dense: [Double]
        var unrenormalised: [Double]
        var renormalised: [Double]
    }

    func row(_ row: Int) -> Row {
        let position = head.firstPosition + row
        let scores = (0...position).map { score(row, $0) }
        let kept = (0...position).map { pattern.keeps(key: $0, position: position, shape: head.shape) }
        let p = softmax(scores)
        let keptOnly = softmax(zip(scores, kept).map { $1 ? $0 : -.infinity })
        return Row(
            retained: zip(p, kept).reduce(0) { $0 + ($1.1 ? $1.0 : 0) },
            dropped: zip(p, kept).reduce(0) { $0 + ($1.1 ? 0 : $1.0) },
            dense: mix(p), unrenormalised: mix(zip(p, kept).map { $1 ? $0 : 0 }), renormalised: mix(keptOnly))
    }

    /// How far an output of the oracle may be from the one under test, L1.
    ///
    /// Each side's outputs are within the allowance of the exact ones for *its* scores. The two sides' scores differ by at most
    /// 2·(d + 2)·2⁻⁵³·Σ|q·k|·scale =: δ, which multiplies a probability by at most e^(2δ), so an output moves by at most 4δ·R.
    func tolerance(_ row: Int, radius: Double) -> Double {
        let keys = head.firstPosition + row + 1
        let size = (0..<keys).map { magnitude(row, $0) }.max()!
        let delta = 2 * Double(head.dimension + 2) * 0x1p-53 * size
        return 2 * RoundingAllowance.l1(keys: keys, dimension: head.valueDimension, radius: radius) + 4 * delta * radius
    }

    private func score(_ row: Int, _ key: Int) -> Double {
        head.scale * (0..<head.dimension).reduce(0) { $0 + product(row, key, $1) }
    }

    private func magnitude(_ row: Int, _ key: Int) -> Double {
        abs(head.scale) * (0..<head.dimension).reduce(0) { $0 + abs(product(row, key, $1)) }
    }

    private func product(_ row: Int, _ key: Int, _ k: Int) -> Double {
        head.queries[row * head.dimension + k] * head.keys[key * head.dimension + k]
    }

    private func softmax(_ scores: [Double]) -> [Double] {
        let largest = scores.max()!
        let weights = scores.map { exp($0 - largest) }
        let total = weights.reduce(0, +)
        return weights.map { $0 / total }
    }

    private func mix(_ weights: [Double]) -> [Double] {
        (0..<head.valueDimension).map { k in
            weights.indices.reduce(0) { $0 + weights[$1] * head.values[$1 * head.valueDimension + k] }
        }
    }
}

func l1(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + abs($1.0 - $1.1) } }

/// The pattern families every property is tried on, for a head of `keyCount` keys.
func patterns(keyCount: Int) -> [SparsePattern] {
    let middle = Int32(keyCount / 2)
    let columns = stride(from: Int32(0), to: Int32(keyCount), by: 9).map(\.self)
    return [
        .dense,
        .windowColumns(WindowColumns(window: 1, columns: [])),
        .windowColumns(WindowColumns(window: max(1, keyCount / 8), columns: [])),
        .windowColumns(WindowColumns(window: max(1, keyCount / 12), columns: columns)),
        .windowColumns(WindowColumns(window: 1, columns: [middle])),
        .windowColumns(WindowColumns(window: 2, columns: [0], denseLastRows: max(1, keyCount / 5))),
        .windowColumns(WindowColumns(window: keyCount, columns: [])),
    ]
}

/// Random heads of several shapes and concentrations; the seed is in the name, so a failure names it.
func randomHeads(seeds: ClosedRange<UInt64>) -> [(name: String, head: AttentionHead)] {
    seeds.flatMap { seed in
        [(37, 37, 5, 1.0), (20, 70, 16, 3.0), (70, 70, 8, 8.0), (3, 4, 1, 1.0), (9, 9, 2, 2.0)].map {
            queries, keys, dimension, spread in
            (
                "seed \(seed), \(queries)×\(keys)×\(dimension), spread \(spread)",
                AdversarialHeads.random(
                    queryCount: queries, keyCount: keys, dimension: dimension, scoreSpread: spread, seed: seed)
            )
        }
    }
}

func exponential(_ x: Double) -> Double { exp(x) }
