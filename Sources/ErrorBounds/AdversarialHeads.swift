import AttentionCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A head made for a purpose, with the pattern it is meant for.
public struct AdversarialHead: Sendable {
    /// What it attacks.
    public let name: String
    public let head: AttentionHead
    public let pattern: SparsePattern
    /// Names of the bounds whose measured/bound this head brings to at least 0.99.
    public let tightFor: [String]
}

/// Constructed heads on which the bounds are met with equality, broken (the one that is not valid), or computed under strain.
public enum AdversarialHeads {
    /// Every constructed head. Values and keys are finite by construction.
    public static var all: [AdversarialHead] {
        [
            constantValues, oppositeValues, shiftedOppositeValues, manyRowsOpposite, factorOneCounterexample, equalScores,
            hugeLogitsKept, hugeLogitsDropped, zeroValues, singleToken, tinyDroppedMass, alternatingSigns, oneDimension,
            hugeAndTinyValues,
        ]
    }

    // MARK: Tight

    /// All values equal v: μ_dropped = v, so the un-renormalised error is exactly (1 − r)·R; renormalised it is 0, as is D.
    public static var constantValues: AdversarialHead {
        let row = [0.5, -0.25, 1, 0.125]
        return make(
            "constant values", random(64, 64, 4, seed: 11).replacing(values: Array(repeating: row, count: 64)),
            WindowColumns(window: 4, columns: []), tightFor: [UnrenormalisedBound().name])
    }

    /// One query; kept values are +a, dropped −a: error 2(1 − r)·R = (1 − r)·D.
    public static var oppositeValues: AdversarialHead {
        opposite(
            "opposite values", centre: [0, 0, 0, 0, 0, 0, 0, 0],
            tightFor: [UnrenormalisedBound().name, RenormalisedRadiusBound().name, RenormalisedDiameterBound().name])
    }

    /// Kept values are c + a, dropped c − a with ‖c‖ far above ‖a‖: the diameter form is tight, the radius form loose.
    public static var shiftedOppositeValues: AdversarialHead {
        opposite(
            "shifted opposite values", centre: [9, -7, 5, 3, 8, -6, 4, 2],
            tightFor: [UnrenormalisedBound().name, RenormalisedDiameterBound().name])
    }

    /// Equal scores over all rows, where only the last row's kept keys (the first and its own) are all +a.
    public static var manyRowsOpposite: AdversarialHead {
        let count = 40
        let side = [1.0, -2, 0.5]
        let values: [[Double]] = (0..<count).map { key in side.map { key == 0 || key == count - 1 ? $0 : -$0 } }
        return make(
            "opposite values in many rows",
            head(queries: Array(repeating: [0], count: count), keys: Array(repeating: [1], count: count), values: values),
            WindowColumns(window: 1, columns: [0]),
            tightFor: [UnrenormalisedBound().name, RenormalisedRadiusBound().name, RenormalisedDiameterBound().name])
    }

    /// P = [.1, .9], M = [0, 1], V = [−1; 1], by scores 0 and ln 9: `RenormalisedFactorOneBound.counterexample` with its
    /// keys exchanged, since a window keeps the query's own position. Error .2 against a factor-one claim of .1.
    public static var factorOneCounterexample: AdversarialHead {
        make(
            "factor-one counterexample",
            head(queries: [[1], [1]], keys: [[0], [log(9)]], values: [[-1], [1]]), WindowColumns(window: 1, columns: []),
            tightFor: [UnrenormalisedBound().name, RenormalisedRadiusBound().name, RenormalisedDiameterBound().name])
    }

    // MARK: Strain

    /// P_ij = 1/(i + 1): the least concentrated attention there is.
    public static var equalScores: AdversarialHead {
        let base = random(96, 96, 8, seed: 12)
        return make(
            "equal scores", base.replacing(keys: Array(repeating: Array(repeating: 1, count: 8), count: 96)),
            WindowColumns(window: 5, columns: [0, 17, 40]))
    }

    /// Scores of ±10⁴ with the largest on a kept column: nothing may overflow, everything else has mass 0.
    public static var hugeLogitsKept: AdversarialHead { hugeLogits("huge logits, largest kept", columns: [3]) }

    /// The same with the largest dropped: the kept mass underflows to 0, yet the softmax over the kept keys exists.
    public static var hugeLogitsDropped: AdversarialHead { hugeLogits("huge logits, largest dropped", columns: [5]) }

    /// V = 0: every error and every bound is 0.
    public static var zeroValues: AdversarialHead {
        make(
            "zero values", random(32, 32, 4, seed: 13).replacing(values: Array(repeating: [0, 0, 0], count: 32)),
            WindowColumns(window: 2, columns: [0]))
    }

    /// One token, which is always kept.
    public static var singleToken: AdversarialHead {
        make("single token", random(1, 1, 4, seed: 14), WindowColumns(window: 1, columns: []))
    }

    /// 1,500 keys with scores growing by 23 a position, so that a query's own key takes all but about 10⁻¹⁰: 1 − r would
    /// lose its digits as a difference.
    public static var tinyDroppedMass: AdversarialHead {
        let count = 1500
        let queries = Array(repeating: [1.0], count: count)
        let keys = (0..<count).map { [23 * Double($0)] }
        let values: [[Double]] = (0..<count).map { [$0 % 2 == 0 ? 1 : -1, Double($0) / Double(count)] }
        return make(
            "tiny dropped mass", head(queries: queries, keys: keys, values: values),
            WindowColumns(window: 1, columns: []))
    }

    /// V_j = ±v by turns: sums cancel, while R and D stay large.
    public static var alternatingSigns: AdversarialHead {
        let values: [[Double]] = (0..<80).map { $0 % 2 == 0 ? [1, 2, 3] : [-1, -2, -3] }
        return make(
            "alternating signs", random(80, 80, 4, seed: 15).replacing(values: values),
            WindowColumns(window: 7, columns: [0, 1, 2], denseLastRows: 5))
    }

    /// d = dv = 1 and fewer queries than keys.
    public static var oneDimension: AdversarialHead {
        make("one dimension", random(10, 60, 1, seed: 16), WindowColumns(window: 3, columns: [20]))
    }

    /// Values from 10⁻³⁰ to 10³⁰ in one head.
    public static var hugeAndTinyValues: AdversarialHead {
        let values: [[Double]] = (0..<61).map { [pow(10, Double($0 - 30)), -pow(10, Double(30 - $0))] }
        return make(
            "huge and tiny values", random(61, 61, 4, seed: 17).replacing(values: values),
            WindowColumns(window: 6, columns: [1, 30]))
    }

    // MARK: Random

    /// A head of roughly normal Q, K and V; `scoreSpread` multiplies the queries, so larger is more concentrated.
    ///
    /// Shapes: queries [queryCount][dimension], keys and values [keyCount][dimension].
    public static func random(
        queryCount: Int, keyCount: Int, dimension: Int, scoreSpread: Double = 1, seed: UInt64
    ) -> AttentionHead {
        precondition(queryCount >= 1 && queryCount <= keyCount && dimension >= 1, "queries are the last of the keys")
        var generator = SeededGenerator(seed: seed)
        func rows(_ count: Int, _ factor: Double) -> [[Double]] {
            (0..<count).map { _ in (0..<dimension).map { _ in factor * generator.normal() } }
        }
        return head(queries: rows(queryCount, scoreSpread), keys: rows(keyCount, 1), values: rows(keyCount, 1), scale: nil)
    }
}

extension AdversarialHeads {
    private static func random(_ queries: Int, _ keys: Int, _ dimension: Int, seed: UInt64) -> AttentionHead {
        random(queryCount: queries, keyCount: keys, dimension: dimension, seed: seed)
    }

    private static func make(
        _ name: String, _ head: AttentionHead, _ pattern: WindowColumns, tightFor: [String] = []
    ) -> AdversarialHead {
        AdversarialHead(name: name, head: head, pattern: .windowColumns(pattern), tightFor: tightFor)
    }

    private static func opposite(_ name: String, centre: [Double], tightFor: [String]) -> AdversarialHead {
        let side = [0.3, -0.1, 0.5, 0.2, -0.4, 0.6, 0.1, -0.2]
        let pattern = WindowColumns(window: 8, columns: [0, 10, 20])
        let base = random(1, 96, 8, seed: 18)
        let values: [[Double]] = (0..<96).map { key in
            let kept = SparsePattern.windowColumns(pattern).keeps(key: key, position: 95, shape: base.shape)
            return zip(centre, side).map { kept ? $0 + $1 : $0 - $1 }
        }
        return make(name, base.replacing(values: values), pattern, tightFor: tightFor)
    }

    private static func hugeLogits(_ name: String, columns: [Int32]) -> AdversarialHead {
        let keys: [[Double]] = (0..<48).map { [$0 == 3 ? 100 : -100 - Double($0 % 7)] }
        let values = random(48, 48, 5, seed: 19).rows(\.values, width: 5)
        return make(
            name, head(queries: Array(repeating: [100], count: 48), keys: keys, values: values),
            WindowColumns(window: 2, columns: columns))
    }

    /// Rows that are right by construction, so a refusal is a defect of this file. The scale is 1 so that scores are
    /// plain products.
    private static func head(
        queries: [[Double]], keys: [[Double]], values: [[Double]], scale: Double? = 1
    ) -> AttentionHead {
        do {
            return try AttentionHead(queries: queries, keys: keys, values: values, scale: scale)
        } catch {
            preconditionFailure("a constructed head is not usable: \(error)")
        }
    }
}

extension AttentionHead {
    fileprivate func rows(_ elements: KeyPath<AttentionHead, [Double]>, width: Int) -> [[Double]] {
        let all = self[keyPath: elements]
        return stride(from: 0, to: all.count, by: width).map { Array(all[$0..<$0 + width]) }
    }

    fileprivate func replacing(keys: [[Double]]? = nil, values: [[Double]]? = nil) -> AttentionHead {
        do {
            return try AttentionHead(
                queries: rows(\.queries, width: dimension), keys: keys ?? rows(\.keys, width: dimension),
                values: values ?? rows(\.values, width: valueDimension), scale: scale)
        } catch {
            preconditionFailure("a constructed head is not usable: \(error)")
        }
    }
}
