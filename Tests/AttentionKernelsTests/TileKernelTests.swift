import AttentionCore
import AttentionKernels
import CAttentionKernels
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// Each vector instruction set's tile kernels against the scalar ones, in both precisions, around every block size.
@Suite struct TileKernelTests {
    struct Variant: Sendable, CustomTestStringConvertible {
        let own: KernelVariant
        var precision: Precision { own.precision }
        var testDescription: String { own.testDescription }

        var vector: SATileKernelTable { own.tiles }
        var scalar: SATileKernelTable { try! InstructionSet.scalar.kernels().tiles(precision) }

        /// Elements that `count` neighbours fill.
        func steps(_ count: Int) -> Int { precision == .bf16 ? (count + 1) / 2 : count }
        /// What one rounding of an operand may differ by where two instruction sets round a tie or a last bit differently.
        var operandUlp: Float { precision == .bf16 ? 0x1p-8 : 0x1p-22 }

        /// Elements that `pack_values` fills.
        func valueElements(_ kernels: SATileKernelTable, keys: Int, _ dimension: Int) -> Int {
            let group = Int(kernels.value_keys)
            return steps((keys + group - 1) / group * group) * dimension
        }

        /// What `pack_values` left, as [key][dimension], the keys that fill the last group up included.
        func values(_ elements: [Float], _ kernels: SATileKernelTable, keys: Int, _ dimension: Int) -> [Float] {
            let group = Int(kernels.value_keys)
            let flat = values(elements, lines: 1)
            let all = (keys + 1) / 2 * 2
            return (0..<(precision == .bf16 ? all : keys)).flatMap { key in
                (0..<dimension).map { flat[(key / group * dimension + $0) * group + key % group] }
            }
        }

        /// Elements as values: [step][line], steps split into their two halves in BF16.
        func values(_ elements: [Float], lines: Int) -> [Float] {
            if precision == .fp32 { return elements }
            return stride(from: 0, to: elements.count, by: lines).flatMap { start in
                let row = elements[start..<start + lines]
                return row.map { Float(bitPattern: $0.bitPattern << 16) } + row.map { Float(bitPattern: $0.bitPattern & 0xFFFF_0000) }
            }
        }
    }

    static let variants = KernelVariant.all.filter { !$0.isScalar }.map(Variant.init)

    func both(_ variant: Variant, _ body: (SATileKernelTable) -> [Float]) -> (vector: [Float], scalar: [Float]) {
        (body(variant.vector), body(variant.scalar))
    }

    @Test(arguments: variants, MicrokernelTests.sizes) func packing(variant: Variant, size: Int) {
        let d = size, stride = d + 3, rows = 1 + size % 64
        let x = MicrokernelTests.random(70 * stride, 1)
        let index = (0..<rows).map { Int32((37 * $0) % 70) }
        let packed = both(variant) { kernels in
            var queries = [Float](repeating: .nan, count: variant.steps(d) * 64)
            var keys = [Float](repeating: .nan, count: rows * variant.steps(d)), chosen = keys
            var values = [Float](repeating: .nan, count: variant.valueElements(kernels, keys: rows, d)), chosenValues = values
            kernels.pack_queries(x, stride, Int32(rows), Int32(d), 0.37, &queries)
            kernels.pack_keys(x, stride, nil, Int32(rows), Int32(d), &keys)
            kernels.pack_keys(x, stride, index, Int32(rows), Int32(d), &chosen)
            kernels.pack_values(x, stride, nil, Int32(rows), Int32(d), &values)
            kernels.pack_values(x, stride, index, Int32(rows), Int32(d), &chosenValues)
            return variant.values(queries + keys + chosen, lines: 1)
                + [values, chosenValues].flatMap { variant.values($0, kernels, keys: rows, d) }
        }
        #expect(variant.vector.steps(d) == variant.steps(d) && variant.scalar.steps(d) == variant.steps(d), "the tables state their layout")
        // Both round to nearest, ties to even.
        #expect(packed.vector == packed.scalar)
    }

    enum Mask: CaseIterable { case none, firstKeyWhole, firstKeyPartial }

    /// A lane block after several tiles: its output, sums and shifts brought to one shift for comparison; and with `scores`
    /// instead of values, what each tile's probabilities come to.
    private func attend(
        _ variant: Variant, _ kernels: SATileKernelTable, d: Int, keys: Int, tiles: Int, mask: Mask, spread: Float, scores: Bool = false,
        cap: Float = 0
    ) -> [Float] {
        var (first, end) = MicrokernelTests.bounds(keys, 5)
        let isMasked = mask != .none
        if mask == .firstKeyPartial { (first[0], end[0]) = (3, 17) }
        let q = MicrokernelTests.random(64 * d, 1)
        var logs: [Float] = []
        var packedQueries = [Float](repeating: 0, count: variant.steps(d) * 64)
        kernels.pack_queries(q, d, 64, Int32(d), spread / Float(d).squareRoot(), &packedQueries)
        var output = [Float](repeating: 0, count: d * 64), sum = [Float](repeating: 0, count: 64)
        var shift = [Float](repeating: -.infinity, count: 64)
        var scratch = [Float](repeating: .nan, count: 128 * 64)
        for tile in 0..<tiles {
            // Later tiles hold larger scores, so that the shift has to move.
            let k = MicrokernelTests.random(keys * d, UInt64(10 + tile), scale: Float(1 + 3 * tile))
            let v = MicrokernelTests.random(keys * d, UInt64(20 + tile))
            var packedKeys = [Float](repeating: 0, count: keys * variant.steps(d))
            var packedValues = [Float](repeating: .nan, count: variant.valueElements(kernels, keys: keys, d))
            kernels.pack_keys(k, d, nil, Int32(keys), Int32(d), &packedKeys)
            kernels.pack_values(v, d, nil, Int32(keys), Int32(d), &packedValues)
            packedKeys.withUnsafeBytes { keyBytes in
                packedValues.withUnsafeBytes { valueBytes in
                    packedQueries.withUnsafeBytes { queryBytes in
                        first.withUnsafeBufferPointer { first in
                            end.withUnsafeBufferPointer { end in
                                output.withUnsafeMutableBufferPointer { output in
                                    shift.withUnsafeMutableBufferPointer { shift in
                                        sum.withUnsafeMutableBufferPointer { sum in
                                            var tile = SATile(
                                                keys: keyBytes.baseAddress, stride: variant.steps(d), values: valueBytes.baseAddress,
                                                valueStride: d, count: keys, cap: cap)
                                            var block = SALaneBlock(
                                                queries: queryBytes.baseAddress, output: output.baseAddress, shift: shift.baseAddress,
                                                sum: sum.baseAddress, first: isMasked ? first.baseAddress : nil,
                                                end: isMasked ? end.baseAddress : nil)
                                            if !scores { return kernels.attend(&tile, &block, 1, Int32(d), &scratch) }
                                            var added = [Float](repeating: .nan, count: 64)
                                            block.output = nil
                                            kernels.score(&tile, &block, Int32(d), &scratch, &added)
                                            // Relative to no shift, as logarithms: what they are does not depend on it.
                                            let shifts = shift.map { $0 == -.infinity ? 0 : $0 }
                                            logs += (0..<64).map { added[$0] > 0 ? shifts[$0] + log2(added[$0]) : -1 }
                                            let p = variant.values(Array(scratch[..<(variant.steps(keys) * 64)]), lines: 64)
                                            logs += p.indices.map { p[$0] > 1e-30 ? shifts[$0 % 64] + log2(p[$0]) : -1 }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        if scores { return logs }
        let seen = sum.map { $0 > 0 ? $0 : 1 }
        let outputs = output.indices.map { output[$0] / seen[$0 % 64] }
        let logSums = (0..<64).map { sum[$0] > 0 ? shift[$0] + log2(sum[$0]) : -1 }
        return outputs + logSums
    }

    @Test(arguments: variants, [1, 7, 16, 64, 129]) func attend(variant: Variant, d: Int) {
        for (keys, tiles) in [(1, 1), (6, 2), (64, 3), (127, 2), (128, 2)] {
            for mask in Mask.allCases {
                let results = both(variant) { attend(variant, $0, d: d, keys: keys, tiles: tiles, mask: mask, spread: 2) }
                let limit = variant.operandUlp * Float(variant.precision == .bf16 ? 2 : keys + 2 * d)
                #expect(MicrokernelTests.difference(results.vector, results.scalar) < limit, "\(keys) keys, mask \(mask)")
                #expect(results.vector.allSatisfy { $0.isFinite })
            }
        }
    }

    /// Sums and probabilities without values, lane by lane.
    @Test(arguments: variants, [1, 16, 70]) func score(variant: Variant, d: Int) {
        for (keys, tiles) in [(5, 1), (64, 2), (128, 2)] {
            for mask in Mask.allCases {
                let results = both(variant) { attend(variant, $0, d: d, keys: keys, tiles: tiles, mask: mask, spread: 0.5, scores: true) }
                // In base-2 logarithms: one rounding of a BF16 probability, or of a score of some tens.
                let limit: Float = variant.precision == .bf16 ? 0x1p-6 : 1e-4
                #expect(MicrokernelTests.difference(results.vector, results.scalar) < limit, "\(keys) keys, mask \(mask)")
            }
        }
    }

    /// What a tile adds to several lane blocks at once is what it adds to each of them alone, whatever each keeps of it: all, some, few
    /// lanes, nothing in a half, or scores that move the shift.
    @Test(arguments: variants, [16, 32, 80, 128]) func severalLaneBlocks(variant: Variant, d: Int) {
        for (keys, tiles) in [(128, 2), (100, 2), (33, 1), (1, 1)] {
            let masks: [(first: [UInt8], end: [UInt8])?] = [
                nil, MicrokernelTests.bounds(keys, 5), (Array(repeating: 40, count: keys), Array(repeating: 64, count: keys)),
                (Array(repeating: 0, count: keys), (0..<keys).map { $0 < 40 ? 64 : 9 }),
                (Array(repeating: 64, count: keys), Array(repeating: 0, count: keys)),
                nil,
            ]
            for start in 0...2 {
                let own = Array(masks[start..<start + 4])
                let together = addTiles(variant, variant.vector, d: d, keys: keys, tiles: tiles, masks: own, atOnce: true)
                let alone = addTiles(variant, variant.vector, d: d, keys: keys, tiles: tiles, masks: own, atOnce: false)
                let scalar = addTiles(variant, variant.scalar, d: d, keys: keys, tiles: tiles, masks: own, atOnce: true)
                #expect(together == alone, "\(keys) keys, masks from \(start)")
                let limit = variant.operandUlp * Float(variant.precision == .bf16 ? 8 : 4096)
                #expect(MicrokernelTests.difference(together, scalar) < limit, "\(keys) keys, masks from \(start)")
            }
        }
    }

    /// Outputs over their sums, and the sums' logarithms, of one lane block a mask; the third's scores rise so far that its shift moves.
    private func addTiles(
        _ variant: Variant, _ kernels: SATileKernelTable, d: Int, keys: Int, tiles: Int, masks: [(first: [UInt8], end: [UInt8])?],
        atOnce: Bool
    ) -> [Float] {
        let count = masks.count
        let steps = variant.steps(d) * 64
        let queries = AlignedBuffer<Float>(count: count * steps), output = AlignedBuffer<Float>(count: count * d * 64)
        let shift = AlignedBuffer<Float>(count: count * 64), sum = AlignedBuffer<Float>(count: count * 64)
        let first = AlignedBuffer<UInt8>(count: count * keys), end = AlignedBuffer<UInt8>(count: count * keys)
        let scratch = AlignedBuffer<Float>(count: 128 * 64)
        shift.elements.update(repeating: -.infinity)
        for (index, mask) in masks.enumerated() {
            let q = MicrokernelTests.random(64 * d, UInt64(index))
            kernels.pack_queries(q, d, 64, Int32(d), (index == 2 ? 40 : 2) / Float(d).squareRoot(), queries.base + index * steps)
            for key in 0..<keys {
                first.base[index * keys + key] = mask?.first[key] ?? 0
                end.base[index * keys + key] = mask?.end[key] ?? 64
            }
        }
        for tile in 0..<tiles {
            let packedKeys = AlignedBuffer<Float>(count: keys * variant.steps(d))
            let packedValues = AlignedBuffer<Float>(count: variant.valueElements(kernels, keys: keys, d))
            kernels.pack_keys(
                MicrokernelTests.random(keys * d, UInt64(10 + tile), scale: Float(1 + 2 * tile)), d, nil, Int32(keys), Int32(d),
                packedKeys.base)
            kernels.pack_values(MicrokernelTests.random(keys * d, UInt64(20 + tile)), d, nil, Int32(keys), Int32(d), packedValues.base)
            var tile = SATile(
                keys: packedKeys.base, stride: variant.steps(d), values: packedValues.base, valueStride: d, count: keys, cap: 0)
            let blocks = masks.indices.map { index in
                SALaneBlock(
                    queries: queries.base + index * steps, output: output.base + index * d * 64, shift: shift.base + index * 64,
                    sum: sum.base + index * 64, first: masks[index] == nil ? nil : first.base + index * keys,
                    end: masks[index] == nil ? nil : end.base + index * keys)
            }
            if atOnce {
                kernels.attend(&tile, blocks, Int32(count), Int32(d), scratch.base)
            } else {
                for block in blocks { kernels.attend(&tile, [block], 1, Int32(d), scratch.base) }
            }
        }
        let lanes = (0..<count * 64).map { (sum: sum.base[$0], shift: shift.base[$0]) }
        return (0..<output.count).map { output.base[$0] / max(lanes[$0 / (d * 64) * 64 + $0 % 64].sum, 1e-30) }
            + lanes.map { $0.sum > 0 ? $0.shift + log2($0.sum) : -1 }
    }

    /// Scores under a cap, which the largest of them reach.
    @Test(arguments: variants, [16, 70]) func cappedScores(variant: Variant, d: Int) {
        for (keys, tiles) in [(1, 1), (7, 2), (128, 3)] {
            for mask in Mask.allCases {
                let capped = both(variant) { attend(variant, $0, d: d, keys: keys, tiles: tiles, mask: mask, spread: 3, cap: 2) }
                let limit = variant.operandUlp * Float(variant.precision == .bf16 ? 2 : keys + 2 * d)
                #expect(MicrokernelTests.difference(capped.vector, capped.scalar) < limit, "\(keys) keys, mask \(mask)")
                let free = attend(variant, variant.vector, d: d, keys: keys, tiles: tiles, mask: mask, spread: 3)
                #expect(MicrokernelTests.difference(capped.vector, free) > 0.01, "\(keys) keys, mask \(mask): the cap does something")
            }
        }
    }

    /// Scores that rise by hundreds from tile to tile force the shift to move in the middle of a run.
    @Test(arguments: variants) func risingScoresMoveTheShift(variant: Variant) {
        for mask in Mask.allCases {
            let results = both(variant) { attend(variant, $0, d: 16, keys: 33, tiles: 6, mask: mask, spread: 30) }
            #expect(results.vector.allSatisfy { $0.isFinite })
            // Scores of several hundred carry that many times the rounding of their operands.
            let limit = variant.operandUlp * (variant.precision == .bf16 ? 8 : 4096)
            #expect(MicrokernelTests.difference(results.vector, results.scalar, floor: 10) < limit)
        }
    }

    @Test(arguments: variants, [1, 2, 77, 128]) func columnMass(variant: Variant, keys: Int) {
        let p = MicrokernelTests.random(keys * 64, 3).map { abs($0) }, weight = MicrokernelTests.random(64, 4).map { abs($0) }
        let (first, end) = MicrokernelTests.bounds(keys, 9)
        var elements = [Float](repeating: 0, count: variant.steps(keys) * 64)
        variant.scalar.pack_values(p, 64, nil, Int32(keys), 64, &elements)
        for isMasked in [false, true] {
            let masses = both(variant) { kernels in
                var mass = (0..<keys).map(Float.init)
                kernels.column_mass(elements, Int32(keys), isMasked ? first : nil, isMasked ? end : nil, weight, &mass)
                return mass
            }
            #expect(MicrokernelTests.difference(masses.vector, masses.scalar) < 1e-5)
        }
    }

    @Test(arguments: variants, [1, 2, 77, 128]) func rowMass(variant: Variant, keys: Int) {
        let p = MicrokernelTests.random(keys * 64, 3).map { abs($0) }, weight = MicrokernelTests.random(64, 4).map { abs($0) }
        let (first, end) = MicrokernelTests.bounds(keys, 9)
        let groups = (0..<keys).map { UInt8(5 * $0 % 7) }
        let order = groups.indices.sorted { (groups[$0], $0) < (groups[$1], $1) }.map { UInt8($0) }
        var elements = [Float](repeating: 0, count: variant.steps(keys) * 64)
        variant.scalar.pack_values(p, 64, nil, Int32(keys), 64, &elements)
        for (isMasked, isGrouped) in [(false, false), (true, false), (false, true), (true, true)] {
            func mass(_ kernels: SATileKernelTable, isOrdered: Bool) -> [Float] {
                var mass = (0..<7 * 64).map(Float.init)
                kernels.row_mass(
                    elements, Int32(keys), isMasked ? first : nil, isMasked ? end : nil, isGrouped ? groups : nil,
                    isOrdered ? order : nil, weight, &mass)
                return mass
            }
            let expected = mass(variant.scalar, isOrdered: false)
            for isOrdered in [false, true] {
                let masses = both(variant) { mass($0, isOrdered: isOrdered) }
                #expect(MicrokernelTests.difference(masses.vector, expected) < 1e-5)
                #expect(MicrokernelTests.difference(masses.scalar, expected) < 1e-5)
            }
        }
    }

    @Test(arguments: variants, [1, 15, 16, 40, 128]) func collect(variant: Variant, keys: Int) {
        var elements = [Float](repeating: 0, count: variant.steps(keys) * 64)
        variant.scalar.pack_values(MicrokernelTests.random(keys * 64, 1), 64, nil, Int32(keys), 64, &elements)
        let weight = MicrokernelTests.random(64, 2), least = MicrokernelTests.random(64, 3).map(abs)
        let stride = keys + 20
        let collected = both(variant) { kernels in
            var rows = [Float](repeating: 0, count: 64 * stride), rest = (0..<64).map(Float.init)
            var counts = (0..<64).map { Int32($0 % 3) }
            kernels.collect(elements, Int32(keys), weight, least, &rows, stride, &counts, &rest)
            // What stands behind a list is anything.
            for lane in 0..<64 { for index in Int(counts[lane])..<stride { rows[lane * stride + index] = 0 } }
            return rows + rest + counts.map(Float.init)
        }
        #expect(MicrokernelTests.difference(collected.vector, collected.scalar) < 1e-5)
    }
}
