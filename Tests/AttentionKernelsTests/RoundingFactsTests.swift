import AttentionCore
import AttentionKernels
import CAttentionKernels
import Parallelism
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// What each instruction set's table says of its rounding, against what its kernels do.
@Suite struct RoundingFactsTests {
    /// A number x is the query (high, middle, low) of numbers that BF16 holds, and the key is (1, 1, 1): the score is x itself.
    private func powers(_ inputs: [Float], _ tiles: SATileKernelTable) -> [Float] {
        let parts = inputs.flatMap { x in
            let high = Float(bitPattern: x.bitPattern & 0xFFFF_0000)
            let middle = Float(bitPattern: (x - high).bitPattern & 0xFFFF_0000)
            return [high, middle, x - high - middle]
        }
        var queries = [Float](repeating: 0, count: 3 * 64)
        var key = [Float](repeating: 0, count: 3)
        tiles.pack_queries(parts, 3, Int32(inputs.count), 3, 1, &queries)
        tiles.pack_keys([1, 1, 1], 3, nil, 1, 3, &key)
        var shift = [Float](repeating: 0, count: 64)
        var (sum, added) = (shift, shift)
        var probabilities = [Float](repeating: 0, count: KernelTable.tileKeys * KernelTable.lanes)
        queries.withUnsafeBufferPointer { queries in
            key.withUnsafeBufferPointer { key in
                shift.withUnsafeMutableBufferPointer { shift in
                    sum.withUnsafeMutableBufferPointer { sum in
                        var tile = SATile(keys: key.baseAddress!, stride: 3, count: 1, cap: 0)
                        var block = SALaneBlock(
                            queries: queries.baseAddress!, output: nil, shift: shift.baseAddress!, sum: sum.baseAddress!,
                            first: nil, end: nil)
                        tiles.score(&tile, &block, 3, &probabilities, &added)
                    }
                }
            }
        }
        return Array(added[..<inputs.count])
    }

    @Test(arguments: KernelVariant.all) func exponentialErrsAsStated(variant: KernelVariant) {
        let (tiles, rounding) = (variant.tiles, variant.tiles.rounding)
        var worst = 0.0
        for block in 0..<400 {
            let inputs = (0..<64).map { -Float(64 * block + $0) / 6400 - 1e-3 }
            for (x, power) in zip(inputs, powers(inputs, tiles)) { worst = max(worst, abs(Double(power) / exp2(Double(x)) - 1)) }
        }
        // Horner's rule and the coefficients round by at most 2γ of 2n + 2 roundings.
        let evaluation = 2.001 * Double(2 * rounding.exp2_degree + 2) * 0x1p-24
        #expect(worst <= rounding.exp2_error + evaluation, "\(worst)")
        // A cubic's own error stands far above rounding, so it can be told when it is stated too large; the reference has none.
        if variant.precision == .bf16, !variant.isScalar { #expect(worst >= 0.9 * rounding.exp2_error, "\(worst)") }
    }

    @Test(arguments: KernelVariant.all) func operandsErrAsStated(variant: KernelVariant) {
        // One binade above 1 has the largest relative errors.
        let values = (0..<512).map { 1 + Float($0) * 0x1p-15 }
        var packed = [Float](repeating: .nan, count: 512)
        variant.tiles.pack_keys(values, 512, nil, 1, 512, &packed)
        let operands = packed.withUnsafeBytes { bytes in
            values.indices.map { index in
                variant.precision == .fp32
                    ? bytes.load(fromByteOffset: 4 * index, as: Float.self)
                    : Float(bitPattern: UInt32(bytes.load(fromByteOffset: 2 * index, as: UInt16.self)) << 16)
            }
        }
        let worst = zip(values, operands).reduce(0.0) { max($0, abs(Double($1.1 / $1.0) - 1)) }
        let stated = variant.tiles.rounding.operand_roundoff
        #expect(worst <= stated && worst >= 0.98 * stated, "\(worst)")
    }

    @Test(arguments: KernelVariant.all) func kernelsSayWhatTheirTableSays(variant: KernelVariant) {
        let kernel = variant.kernel(threads: 1)
        let (facts, table) = (kernel.rounding, variant.tiles.rounding)
        #expect(facts.operandRoundoff == table.operand_roundoff && facts.exponentialError == table.exp2_error)
        #expect(facts.exponentialDegree == Int(table.exp2_degree))
        #expect(facts.tileKeys == KernelTable.tileKeys && facts.partialTiles == RowBlockTiles.mostPartialTiles)
    }
}
