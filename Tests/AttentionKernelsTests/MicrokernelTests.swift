import AttentionCore
import AttentionKernels
import AttentionTestSupport
import CAttentionKernels
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// Each vector instruction set against the scalar reference, operation by operation, around every block size.
@Suite struct MicrokernelTests {
    static let vectorSets = InstructionSet.allCases.filter { $0 != .scalar && $0.isAvailable }
    static let sizes = [1, 5, 6, 7, 15, 16, 17, 31, 33, 64, 65, 128]

    static func random(_ count: Int, _ seed: UInt64, scale: Float = 1) -> [Float] {
        var generator = SeededGenerator(seed: seed)
        return (0..<count).map { _ in Float(generator.normal()) * scale }
    }

    /// Largest |a − b| / (|b| + floor).
    static func difference(_ a: [Float], _ b: [Float], floor: Float = 1) -> Float {
        Float(zip(a, b).reduce(0.0) { worse($0, Double(abs($1.0 - $1.1) / (abs($1.1) + floor))) })
    }

    static func kernels(_ set: InstructionSet) -> SAKernelTable { try! set.kernels().functions }

    func both(_ set: InstructionSet, _ body: (SAKernelTable) -> [Float]) -> (vector: [Float], scalar: [Float]) {
        (body(Self.kernels(set)), body(Self.kernels(.scalar)))
    }

    /// Lane bounds of every kind: whole, empty, single lanes.
    static func bounds(_ keys: Int, _ seed: UInt64) -> (first: [UInt8], end: [UInt8]) {
        var generator = SeededGenerator(seed: seed)
        let first = (0..<keys).map { $0 % 3 == 0 ? 0 : UInt8(generator.next() % 65) }
        return (first, (0..<keys).map { $0 % 3 == 0 ? 64 : UInt8(generator.next() % 65) })
    }

    /// The stated error of the vector exponential: at most 1 ulp over its whole range, exactly 0 far below, exactly 1 at 0.
    @Test(arguments: vectorSets) func exponentialIsWithinOneUlp(set: InstructionSet) {
        let kernels = Self.kernels(set)
        let inputs = (0..<200_000).map { Float($0) * -126.0 / 200_000 }
        var outputs = inputs
        _ = kernels.row_exp2(&outputs, Int32(inputs.count), 0)
        var worst = 0.0
        for (x, y) in zip(inputs, outputs) {
            let exact = exp2(Double(x))
            worst = worse(worst, abs(Double(y) - exact) / Double(Float(exact).ulp))
        }
        #expect(worst <= 1, "\(worst) ulp")
        #expect(outputs[0] == 1)
        var far: [Float] = [-150, -1e30, -.infinity]
        #expect(kernels.row_exp2(&far, 3, 0) == 0)
    }

    @Test(arguments: vectorSets, sizes) func elementwise(set: InstructionSet, size: Int) {
        let x = Self.random(size, 1, scale: 5), w = Self.random(size, 2)
        let result = both(set) { kernels in
            var y = [Float](repeating: 0, count: size), gate = x, rotated = x + w
            kernels.rms_norm(x, w, 1e-5, Int32(size), &y)
            kernels.swiglu(&gate, w, Int32(size))
            kernels.rotate_halves(&rotated, x, w, Int32(size))
            var (gelu, clamped, capped) = (x, x, x)
            kernels.geglu(&gelu, w, Int32(size))
            kernels.clamped_swiglu(&clamped, w, Int32(size), 1.702, 0.5)
            kernels.soft_cap(&capped, Int32(size), 3)
            return y + gate + rotated + gelu + clamped + capped
        }
        #expect(Self.difference(result.vector, result.scalar) < 1e-5)
        let extremes: [Float] = [-1e30, -200, -88, 0, 88, 200, 1e30]
        let ones = [Float](repeating: 1, count: 7)
        let activated = both(set) { kernels in
            var (swiglu, geglu, clamped, capped) = (extremes, extremes, extremes, extremes)
            kernels.swiglu(&swiglu, ones, 7)
            // Cubes of larger numbers overflow.
            geglu[0] = -1e12
            geglu[6] = 1e12
            kernels.geglu(&geglu, ones, 7)
            kernels.clamped_swiglu(&clamped, ones, 7, 1.702, 7)
            kernels.soft_cap(&capped, 7, 50)
            return swiglu + geglu + clamped + capped
        }
        #expect(activated.vector.allSatisfy { $0.isFinite })
        #expect(Self.difference(activated.vector, activated.scalar) < 1e-5)
    }

    /// What is not a number stays so.
    @Test(arguments: vectorSets) func activationsKeepNotANumber(set: InstructionSet) throws {
        let kernels = try set.kernels().functions
        for count in [1, 16, 19] {
            let ones = [Float](repeating: 1, count: count)
            var results = [[Float]](repeating: [Float](repeating: .nan, count: count), count: 4)
            kernels.swiglu(&results[0], ones, Int32(count))
            kernels.geglu(&results[1], ones, Int32(count))
            kernels.clamped_swiglu(&results[2], ones, Int32(count), 1.702, 7)
            kernels.soft_cap(&results[3], Int32(count), 50)
            #expect(results.allSatisfy { $0.allSatisfy(\.isNaN) })
        }
    }

    @Test(arguments: vectorSets, [1, 5, 63, 64]) func finishedOutputIsTheSameEverywhere(set: InstructionSet, rows: Int) {
        for d in [1, 10, 16, 35] {
            let stride = d + 3
            let ot = Self.random(64 * d, 1), sum = Self.random(64, 2).map { abs($0) + 1 }
            let finished = both(set) { kernels in
                var out = [Float](repeating: 7, count: 64 * stride)
                kernels.finish_output(ot, sum, Int32(rows), Int32(d), &out, stride, 0)
                return out
            }
            #expect(Self.difference(finished.vector, finished.scalar) < 1e-6)
            // Rows at whole vectors, and rows that are not.
            for stride in [48, 49] {
                let streamed = both(set) { kernels in
                    let out = AlignedBuffer<Float>(count: 64 * stride)
                    out.base.update(repeating: 7, count: 64 * stride)
                    kernels.finish_output(ot, sum, Int32(rows), Int32(d), out.base, stride, 1)
                    return Array(UnsafeBufferPointer(start: out.base, count: 64 * stride))
                }
                #expect(Self.difference(streamed.vector, streamed.scalar) < 1e-6)
            }
        }
    }

    @Test(arguments: vectorSets, [0, 1, 15, 16, 17, 1000]) func numbersBetweenLimitsAreCollectedInOrder(set: InstructionSet, count: Int) {
        let x = Self.random(count, 4) + []
        for (least, limit) in [(Float(-0.5), Float(0.25)), (0, 0), (-.infinity, .infinity), (x.first ?? 0, 1)] {
            let collected = both(set) { kernels in
                var out = [Float](repeating: 0, count: count + 16)
                let number = Int(kernels.collect_between(x, Int32(count), least, limit, &out))
                return Array(out[..<number])
            }
            #expect(collected.scalar == x.filter { $0 >= least && $0 < limit })
            #expect(collected.vector == collected.scalar)
        }
    }

    @Test(arguments: vectorSets) func readSumAddsEverything(set: InstructionSet) {
        for count in [0, 1, 127, 128, 1000] {
            let x = Self.random(count, 3)
            let sums = both(set) { [$0.read_sum(x, count)] }
            #expect(Self.difference(sums.vector, sums.scalar) < 1e-4)
        }
    }
}
