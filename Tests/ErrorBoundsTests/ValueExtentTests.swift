import AttentionCore
import ErrorBounds
import Testing

@Suite struct ValueExtentTests {
    /// L1 norms of up to dv terms, twice: the relative error a sum in another order may have, with room for the centre.
    private func tolerance(_ head: AttentionHead, _ size: Double) -> Double {
        8 * Double(head.valueDimension + 2) * 0x1p-53 * size
    }

    private func naive(_ head: AttentionHead) -> (radius: Double, diameter: Double) {
        let rows = stride(from: 0, to: head.values.count, by: head.valueDimension).map {
            Array(head.values[$0..<$0 + head.valueDimension])
        }
        let zero = [Double](repeating: 0, count: head.valueDimension)
        return (rows.map { l1($0, zero) }.max()!, rows.flatMap { a in rows.map { l1(a, $0) } }.max()!)
    }

    @Test("R and D equal all pairs by plain loops", arguments: 51...53 as ClosedRange<UInt64>)
    func exact(seed: UInt64) {
        let constructed = AdversarialHeads.all.filter { $0.head.keyCount < 100 }
        let made = randomHeads(seeds: seed...seed) + constructed.map { ($0.name, $0.head) }
        for (name, head) in made {
            let expected = naive(head)
            let extent = ValueExtent(of: head)
            #expect(extent.diameterIsExact)
            #expect(abs(extent.radius - expected.radius) <= tolerance(head, expected.radius), "\(name)")
            #expect(abs(extent.diameter - expected.diameter) <= tolerance(head, 2 * expected.radius), "\(name)")
        }
    }

    @Test(
        "past the limit D is an upper bound, never above 2R and at most twice the exact one",
        arguments: 54...56 as ClosedRange<UInt64>)
    func upperBound(seed: UInt64) {
        for (name, head) in randomHeads(seeds: seed...seed) {
            let exact = ValueExtent(of: head)
            let upper = ValueExtent(of: head, exactDiameterTokens: head.keyCount - 1)
            #expect(!upper.diameterIsExact)
            #expect(upper.radius == exact.radius)
            #expect(upper.diameter >= exact.diameter - tolerance(head, exact.radius), "\(name)")
            #expect(upper.diameter <= 2 * upper.radius, "\(name)")
            #expect(upper.diameter <= 2 * exact.diameter + tolerance(head, exact.radius), "\(name)")
        }
    }

    @Test("a common offset grows R and leaves D, also the upper bound of it")
    func offset() {
        let head = AdversarialHeads.shiftedOppositeValues.head
        for tokens in [0, 1000] {
            let extent = ValueExtent(of: head, exactDiameterTokens: tokens)
            #expect(abs(extent.diameter - 4.8) <= tolerance(head, extent.radius))
            #expect(extent.radius > 40)
        }
    }

    @Test("in one dimension the range is the diameter, so the upper bound is exact")
    func oneDimension() {
        let head = AdversarialHeads.oneDimension.head
        let range = head.values.max()! - head.values.min()!
        #expect(abs(ValueExtent(of: head, exactDiameterTokens: 0).diameter - range) <= tolerance(head, range))
    }

    /// Offset values, so that the origin is a bad centre, and many dimensions, so that the box is wide.
    private func upperBound(of points: [[Double]]) throws -> Double {
        let values = points.map { zip($0, 1...).map { $0 + 10 * Double($1) } }
        let rows = values.map { _ in [0.0] }
        return ValueExtent(of: try AttentionHead(queries: rows, keys: rows, values: values), exactDiameterTokens: 0).diameter
    }

    private func unit(_ axis: Int, _ length: Double) -> [Double] { (0..<20).map { $0 == axis ? length : 0 } }

    @Test("the mean is tried as a centre: the corners of a simplex, D = 2, get 2·1.9")
    func simplex() throws {
        let upper = try upperBound(of: (0..<20).map { unit($0, 1) })
        #expect(abs(upper - 3.8) < 1e-10)
    }

    @Test("the mid-range is tried as a centre: a lopsided cross-polytope gets its exact D = 2")
    func crossPolytope() throws {
        let corners = (0..<20).flatMap { [unit($0, 1), unit($0, -1)] }
        let upper = try upperBound(of: corners + Array(repeating: unit(0, 1), count: 300))
        #expect(abs(upper - 2) < 1e-10)
    }

    @Test("one token has no diameter")
    func singleToken() {
        let extent = ValueExtent(of: AdversarialHeads.singleToken.head)
        #expect(extent.diameter == 0 && extent.radius > 0)
    }
}
