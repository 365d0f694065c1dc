import AttentionCore

/// Random projections that send vectors of similar direction to the same place.
struct LocalitySensitiveHash: Sendable {
    /// [projection][dimension].
    private let projections: [[Float]]

    init(projections count: Int, dimension: Int, random: inout SeededGenerator) {
        projections = (0..<count).map { _ in (0..<dimension).map { _ in Float(random.normal()) } }
    }

    /// The largest of the projections and their negatives: one of 2 · projections buckets.
    ///
    /// Source: angular hashing of Reformer (arXiv 2001.04451), which Hash-Sparse attention (arXiv 2306.01160) uses.
    func bucket(_ vector: UnsafePointer<Float>) -> Int {
        var (best, bucket) = (-Float.infinity, 0)
        for (index, projection) in projections.enumerated() {
            let value = dot(projection, vector)
            if value > best { (best, bucket) = (value, index) }
            if -value > best { (best, bucket) = (-value, index + projections.count) }
        }
        return bucket
    }

    /// The projections' signs as a place on a line where neighbours differ in one sign: the rank of the signs in Gray code.
    ///
    /// Source: the Hamming-sorted angular hash of KDEformer (arXiv 2302.02451) and HyperAttention (arXiv 2310.05869).
    func hammingRank(_ vector: UnsafePointer<Float>) -> Int {
        var code = 0
        for projection in projections { code = code << 1 | (dot(projection, vector) > 0 ? 1 : 0) }
        var rank = code
        while code > 0 {
            code >>= 1
            rank ^= code
        }
        return rank
    }

    private func dot(_ projection: [Float], _ vector: UnsafePointer<Float>) -> Float {
        projection.withUnsafeBufferPointer { projection in
            var sum: Float = 0
            for t in projection.indices { sum += projection[t] * vector[t] }
            return sum
        }
    }
}
