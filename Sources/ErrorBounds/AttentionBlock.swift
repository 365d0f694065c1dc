import AttentionCore
import LinearAlgebra

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The working memory of `ExactAttention` for one block of rows, and the steps on it.
///
/// Shapes: weights and keptWeights [capacity][keyCount], outputs [capacity][valueDimension].
struct AttentionBlock: ~Copyable {
    /// Scores, then exp(s − max), then the dropped part of it alone.
    private let weights: AlignedBuffer<Double>
    /// exp(s − max over the kept keys) where kept, 0 elsewhere.
    private let keptWeights: AlignedBuffer<Double>
    private let dense: AlignedBuffer<Double>
    private let kept: AlignedBuffer<Double>
    private let dropped: AlignedBuffer<Double>
    /// |scale|·|Q||K|ᵀ, [capacity][keyCount], when a kernel is to be judged.
    private let magnitudes: AlignedBuffer<Double>
    private let stride: Int

    /// A row's sums: `total` and `dropped` in units of exp(max), `kept` in units of exp(max over the kept keys).
    struct Mass {
        var keptKeys = 0
        var total = 0.0
        var kept = 0.0
        var dropped = 0.0
        /// exp(max over the kept keys − max): turns the second unit into the first.
        var keptFactor = 1.0
    }

    init(head: AttentionHead, capacity: Int, judgesKernel: Bool = false) {
        stride = head.keyCount
        weights = AlignedBuffer(count: capacity * head.keyCount)
        keptWeights = AlignedBuffer(count: capacity * head.keyCount)
        dense = AlignedBuffer(count: capacity * head.valueDimension)
        kept = AlignedBuffer(count: capacity * head.valueDimension)
        dropped = AlignedBuffer(count: capacity * head.valueDimension)
        magnitudes = AlignedBuffer(count: judgesKernel ? capacity * head.keyCount : 0)
    }

    /// weights = scale · Q Kᵀ, capped where the head caps, for the rows and the keys that any of them sees.
    func scores(_ rows: Range<Int>, of head: AttentionHead) {
        Self.products(rows, head.queries, head.keys, scale: head.scale, of: head, into: weights)
        guard let cap = head.rule.softCap else { return }
        for row in 0..<rows.count {
            for key in row * stride..<row * stride + head.firstPosition + rows.upperBound { weights[key] = cap * tanh(weights[key] / cap) }
        }
    }

    /// magnitudes = |scale| · |Q||K|ᵀ for the same pairs.
    func scoreMagnitudes(_ rows: Range<Int>, of head: AttentionHead, _ allowance: KernelAllowance) {
        Self.products(rows, allowance.absoluteQueries, allowance.absoluteKeys, scale: abs(head.scale), of: head, into: magnitudes)
    }

    private static func products(
        _ rows: Range<Int>, _ queries: [Double], _ keys: [Double], scale: Double, of head: AttentionHead,
        into result: borrowing AlignedBuffer<Double>
    ) {
        queries.withUnsafeBufferPointer { queries in
            keys.withUnsafeBufferPointer { keys in
                MatrixProduct.multiply(
                    rows: rows.count, columns: head.firstPosition + rows.upperBound, inner: head.dimension, scale: scale,
                    a: queries.baseAddress! + rows.lowerBound * head.dimension, aStride: head.dimension, b: keys.baseAddress!,
                    bStride: head.dimension, transposedB: true, into: result.base, cStride: head.keyCount)
            }
        }
    }

    /// Turns a row's scores into dense weights and kept weights. `firstRow` is the block's first row.
    func split(row: Int, firstRow: Int, of head: AttentionHead, keeping mask: some AttentionMask) -> Mass {
        let position = head.firstPosition + row
        let all = weights.base + (row - firstRow) * stride
        let some = keptWeights.base + (row - firstRow) * stride
        let causal = position + 1
        some.update(repeating: -.infinity, count: stride)
        mask.forEachKeptRun(position: position, shape: head.shape) { run in
            let run = run.clamped(to: 0..<causal)
            if !run.isEmpty { (some + run.lowerBound).update(from: all + run.lowerBound, count: run.count) }
        }
        var keptMaximum = Self.maximum(some, causal)
        if keptMaximum == -.infinity {
            some[position] = all[position]
            keptMaximum = all[position]
        }
        var mass = Mass()
        var maximum = Self.maximum(all, causal)
        if let sink = head.sink {
            // A key that every mask keeps and whose value is zero.
            (maximum, keptMaximum) = (max(maximum, sink), max(keptMaximum, sink))
            mass.total = exp(sink - maximum)
            mass.kept = exp(sink - keptMaximum)
        }
        mass.keptFactor = exp(keptMaximum - maximum)
        (all + causal).update(repeating: 0, count: stride - causal)
        for key in 0..<causal {
            all[key] = exp(all[key] - maximum)
            mass.total += all[key]
        }
        for key in 0..<stride {
            guard some[key] > -.infinity else { some[key] = 0; continue }
            some[key] = keptMaximum == maximum ? all[key] : exp(some[key] - keptMaximum)
            mass.keptKeys += 1
            mass.kept += some[key]
        }
        mass.dropped = Self.sumOfDropped(all, some, causal)
        return mass
    }

    /// The three products: all weights, kept weights, dropped weights, each times V.
    func outputs(_ rows: Range<Int>, of head: AttentionHead) {
        let keys = head.firstPosition + rows.upperBound
        head.values.withUnsafeBufferPointer { values in
            func product(_ a: borrowing AlignedBuffer<Double>, into c: borrowing AlignedBuffer<Double>) {
                MatrixProduct.multiply(
                    rows: rows.count, columns: head.valueDimension, inner: keys, a: a.base, aStride: stride,
                    b: values.baseAddress!, bStride: head.valueDimension, transposedB: false, into: c.base,
                    cStride: head.valueDimension)
            }
            product(weights, into: dense)
            product(keptWeights, into: kept)
            for element in 0..<rows.count * stride where keptWeights[element] > 0 { weights[element] = 0 }
            product(weights, into: dropped)
        }
    }

    /// The outputs, errors and identity residuals of the row at `index` in the block.
    func attentionRow(_ row: Int, at index: Int, mass: Mass, of head: AttentionHead, _ allowance: KernelAllowance?) -> AttentionRow {
        let width = head.valueDimension
        func mean(_ sums: borrowing AlignedBuffer<Double>, over weight: Double) -> [Double] {
            (index * width..<(index + 1) * width).map { sums[$0] / weight }
        }
        let output = mean(dense, over: mass.total)
        let renormalised = mean(kept, over: mass.kept)
        let unrenormalised = mean(kept, over: mass.total).map { $0 * mass.keptFactor }
        let droppedPart = mean(dropped, over: mass.total)
        let droppedMass = mass.dropped / mass.total
        var error = (unrenormalised: 0.0, renormalised: 0.0)
        var residual = (unrenormalised: 0.0, renormalised: 0.0)
        for k in 0..<width {
            let without = output[k] - unrenormalised[k]
            let with = output[k] - renormalised[k]
            error.unrenormalised += abs(without)
            error.renormalised += abs(with)
            residual.unrenormalised += abs(without - droppedPart[k])
            residual.renormalised += abs(with - (droppedPart[k] - droppedMass * renormalised[k]))
        }
        let errors = RowErrors(
            row: row, causalKeys: head.firstPosition + row + 1, keptKeys: mass.keptKeys,
            mass: (retained: mass.keptFactor * mass.kept / mass.total, dropped: droppedMass), error: error,
            residual: residual, outputNorm: output.reduce(0) { $0 + abs($1) })
        let seen = index * stride..<index * stride + errors.causalKeys
        let permitted = allowance?.l1(
            weights: UnsafeBufferPointer(rebasing: keptWeights.elements[seen]),
            magnitudes: UnsafeBufferPointer(rebasing: magnitudes.elements[seen]), keptKeys: mass.keptKeys, renormalised: renormalised)
        return AttentionRow(
            errors: errors, dense: output, unrenormalised: unrenormalised, renormalised: renormalised, kernelAllowance: permitted ?? 0)
    }

    /// The row at `index` in the block as probabilities, in place of its scores.
    func probabilities(at index: Int, count: Int, of head: AttentionHead) -> UnsafeBufferPointer<Double> {
        let row = weights.base + index * stride
        let maximum = max(Self.maximum(row, count), head.sink ?? -.infinity)
        var total = head.sink.map { exp($0 - maximum) } ?? 0
        for key in 0..<count {
            row[key] = exp(row[key] - maximum)
            total += row[key]
        }
        for key in 0..<count { row[key] /= total }
        return UnsafeBufferPointer(start: row, count: count)
    }

    private static func maximum(_ numbers: UnsafeMutablePointer<Double>, _ count: Int) -> Double {
        var largest = -Double.infinity
        for index in 0..<count where numbers[index] > largest { largest = numbers[index] }
        return largest
    }

    /// A kept weight is never below the dense weight of its key, so a zero there means dropped, or kept with weight 0.
    private static func sumOfDropped(
        _ all: UnsafeMutablePointer<Double>, _ kept: UnsafeMutablePointer<Double>, _ count: Int
    ) -> Double {
        var sum = 0.0
        for key in 0..<count where kept[key] == 0 { sum += all[key] }
        return sum
    }
}
