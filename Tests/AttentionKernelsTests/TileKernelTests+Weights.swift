import AttentionCore
import AttentionKernels
import CAttentionKernels
import Testing

/// Ends of tiles, and products with weights.
extension TileKernelTests {
    /// A tile may end within a group of packed values, whose later ones are other tiles'.
    @Test(arguments: variants, [16, 48, 64, 72]) func valuesPastTheTileAreNotRead(variant: Variant, d: Int) {
        for count in [2, 18, 48] {
            let keys = 64, steps = variant.steps(d)
            var values = MicrokernelTests.random(keys * d, 1)
            for index in count * d..<keys * d { values[index] = .nan }
            let queries = AlignedBuffer<Float>(count: 64 * steps), packedKeys = AlignedBuffer<Float>(count: keys * steps)
            let packedValues = AlignedBuffer<Float>(count: keys * d), output = AlignedBuffer<Float>(count: 64 * d)
            let scratch = AlignedBuffer<Float>(count: KernelTable.tileKeys * KernelTable.lanes)
            var shift = [Float](repeating: -.infinity, count: 64), sum = [Float](repeating: 0, count: 64)
            output.base.update(repeating: 0, count: output.count)
            variant.vector.pack_queries(MicrokernelTests.random(64 * d, 2), d, 64, Int32(d), 1, queries.base)
            variant.vector.pack_keys(MicrokernelTests.random(keys * d, 3), d, nil, Int32(keys), Int32(d), packedKeys.base)
            variant.vector.pack_values(values, d, nil, Int32(keys), Int32(d), packedValues.base)
            shift.withUnsafeMutableBufferPointer { shift in
                sum.withUnsafeMutableBufferPointer { sum in
                    var tile = SATile(
                        keys: packedKeys.base, stride: steps, values: packedValues.base, valueStride: d, count: count, cap: 0)
                    var block = SALaneBlock(
                        queries: queries.base, output: output.base, shift: shift.baseAddress, sum: sum.baseAddress, first: nil, end: nil)
                    // The first tile sets shifts the general way or from one row; the second finds them.
                    for _ in 0..<2 { variant.vector.attend(&tile, &block, 1, Int32(d), scratch.base) }
                }
            }
            let outputs = UnsafeBufferPointer(start: output.base, count: 64 * d)
            #expect(outputs.allSatisfy { $0.isFinite }, "\(count) keys")
        }
    }

    @Test(arguments: variants, [1, 6, 13, 48, 96]) func multiply(variant: Variant, rows: Int) {
        for (inputs, outputs) in [(1, 1), (7, 63), (64, 64), (130, 65), (33, 200), (64, 100), (700, 63), (1100, 32)] {
            let x = MicrokernelTests.random(rows * inputs, 1), w = MicrokernelTests.random(outputs * inputs, 2)
            let stride = outputs + 5
            for isAdding in [Int32(0), 1] {
                let products = both(variant) { kernels in
                    let blocks = (outputs + 63) / 64 * 64
                    var packedRows = [Float](repeating: 0, count: rows * variant.steps(inputs))
                    let packedWeights = AlignedBuffer<Float>(count: blocks * variant.steps(inputs))
                    packedWeights.base.update(repeating: .nan, count: packedWeights.count)
                    kernels.pack_keys(x, inputs, nil, Int32(rows), Int32(inputs), &packedRows)
                    kernels.pack_weights(w, Int32(outputs), Int32(inputs), packedWeights.base)
                    var y = MicrokernelTests.random(rows * stride, 3)
                    kernels.multiply(
                        packedRows, variant.steps(inputs), Int32(rows), packedWeights.base, Int32(inputs), Int32(outputs), &y, stride,
                        isAdding)
                    return y
                }
                // Columns past the outputs are not touched; the operands are the same, so only sums differ.
                #expect(MicrokernelTests.difference(products.vector, products.scalar) < 0x1p-22 * Float(inputs + 8))
            }
        }
    }

    @Test(arguments: variants) func peakCountsItsOperations(variant: Variant) {
        #expect(variant.vector.peak(3) == 3 * variant.vector.peak(1))
        #expect(variant.scalar.peak(1) > 0)
    }
}
