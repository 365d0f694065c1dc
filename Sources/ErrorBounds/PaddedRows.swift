/// Rows padded with zeros to whole vectors of eight.
struct PaddedRows {
    typealias Lanes = SIMD8<Double>

    let rows: Int
    let vectors: Int
    let storage: [Lanes]

    init(_ elements: [Double], width: Int) {
        rows = elements.count / width
        vectors = (width + 7) / 8
        var storage = [Lanes](repeating: .zero, count: rows * vectors)
        for row in 0..<rows {
            for k in 0..<width { storage[row * vectors + k / 8][k % 8] = elements[row * width + k] }
        }
        self.storage = storage
    }

    func row(_ index: Int) -> ArraySlice<Lanes> { storage[index * vectors..<(index + 1) * vectors] }

    func zero() -> [Lanes] { Array(repeating: .zero, count: vectors) }

    func mean() -> [Lanes] {
        var sum = zero()
        for row in 0..<rows {
            for v in 0..<vectors { sum[v] += storage[row * vectors + v] }
        }
        return sum.map { $0 / Double(rows) }
    }

    /// The middle and the L1 extent of the smallest box that holds every row.
    func box() -> (middle: [Lanes], extent: Double) {
        var low = Array(row(0))
        var high = low
        for index in 1..<max(rows, 1) {
            for v in 0..<vectors {
                low[v] = pointwiseMin(low[v], storage[index * vectors + v])
                high[v] = pointwiseMax(high[v], storage[index * vectors + v])
            }
        }
        let middle = zip(low, high).map { $0 / 2 + $1 / 2 }
        return (middle, zip(low, high).reduce(0) { $0 + ($1.1 - $1.0).sum() })
    }

    func distances(to centre: [Lanes]) -> [Double] {
        centre.withUnsafeBufferPointer { centre in
            storage.withUnsafeBufferPointer { storage in
                (0..<rows).map { distance(storage.baseAddress! + $0 * vectors, centre.baseAddress!) }
            }
        }
    }

    /// The largest distance of two rows. Rows far from a centre come first; a pair whose two distances to it do not
    /// add up to more than the best so far cannot beat it, nor can any pair after it.
    func diameter(sortedBy distances: [Double], atMost upper: Double) -> Double {
        let order = (0..<rows).sorted { distances[$0] > distances[$1] }
        return storage.withUnsafeBufferPointer { storage in
            var best = 0.0
            for (rank, a) in order.enumerated() {
                for b in order[(rank + 1)...] {
                    if distances[a] + distances[b] <= best { break }
                    best = max(best, distance(storage.baseAddress! + a * vectors, storage.baseAddress! + b * vectors))
                }
            }
            return min(best, upper)
        }
    }

    @inline(__always)
    private func distance(_ a: UnsafePointer<Lanes>, _ b: UnsafePointer<Lanes>) -> Double {
        var sum = Lanes.zero
        for v in 0..<vectors {
            let difference = a[v] - b[v]
            sum += pointwiseMax(difference, -difference)
        }
        return sum.sum()
    }
}
