import AttentionCore
import AttentionKernels
import Parallelism
import Reporting

/// What is measured of scores in INT8, FP32 and BF16.
package enum ScoreBench {
    /// Keys of a group.
    package static let group = 32
    /// Groups of a row that are compared.
    package static let heaviest = 8
    /// Blocks of rows whose heaviest groups are compared, at most.
    private static let comparedBlocks = 64

    package enum Operands: String, CaseIterable, Sendable, Encodable {
        case int8, fp32, bf16

        /// The largest difference of a maximum from the reference's, relative to the largest: none, sums in another order, or each operand
        /// rounded by up to 2⁻⁸.
        var tolerance: Float {
            switch self {
            case .int8: 0
            case .fp32: 1e-5
            case .bf16: 0x1p-7
            }
        }

        func scores(_ heads: borrowing RandomHeads, kernel: AttentionKernel) throws(InputError) -> any BlockScores {
            let (query, key) = (heads.query, heads.key)
            guard let precision = Precision(rawValue: rawValue) else {
                return try Int8BlockScores(query: query, key: key, kernel: kernel, group: group)
            }
            let own = try AttentionKernel(instructionSet: kernel.instructionSet, precision: precision, pool: kernel.pool)
            return try ProductBlockScores(query: query, key: key, kernel: own, group: group)
        }
    }

    package struct Row: BenchRow {
        let operands: Operands
        let isa: String
        let threads, length, queryHeads, keyValueHeads, headDimension: Int
        let milliseconds, millisecondsLeast, millisecondsMost: Double
        /// 2 · d operations for each pair that is scored.
        let gigaoperations: Double
        let shareOfFP32Time: Double
        /// Of the heaviest groups of a row in FP32, the share that are so here; nil where no row has more groups than these.
        let heaviestAgreement: Double?

        package static let titles = [
            "operands", "length", "heads", "d", "ms", "least", "most", "Gop/s", "of FP32's ms", "heaviest \(heaviest)",
        ]
        package var cells: [String] {
            [
                operands.rawValue, "\(length)", "\(queryHeads)/\(keyValueHeads)", "\(headDimension)",
                NumberFormat.fixed(milliseconds, decimals: 2), NumberFormat.fixed(millisecondsLeast, decimals: 2),
                NumberFormat.fixed(millisecondsMost, decimals: 2), NumberFormat.fixed(gigaoperations, decimals: 1),
                NumberFormat.percent(shareOfFP32Time), heaviestAgreement.map { NumberFormat.percent($0, decimals: 2) } ?? "–",
            ]
        }
    }

    /// The mean share of each row's heaviest groups in `exact` that are among its heaviest in `own`.
    static func agreement(_ own: any BlockScores, with exact: any BlockScores, shape: AttentionShape) -> Double? {
        let long = ScoredBlock.all(shape).filter { $0.keys > heaviest * group }
        let step = max(1, (long.count + comparedBlocks - 1) / comparedBlocks)
        let shares = stride(from: 0, to: long.count, by: step).flatMap { index in
            zip(own.maxima(long[index]), exact.maxima(long[index])).map { own, exact in
                Double(heaviestGroups(own).intersection(heaviestGroups(exact)).count) / Double(heaviest)
            }
        }
        return shares.isEmpty ? nil : shares.reduce(0, +) / Double(shares.count)
    }

    private static func heaviestGroups(_ maxima: [Float]) -> Set<Int> {
        Set(maxima.indices.sorted { (maxima[$1], $0) < (maxima[$0], $1) }.prefix(heaviest))
    }
}

extension HeadBench {
    /// A row for each kind of operands.
    ///
    /// - Throws: `InputError` (`internalFailure`) when scores are wrong, so that wrong ones are never timed.
    package func scores() throws(InputError) -> [ScoreBench.Row] {
        for operands in ScoreBench.Operands.allCases { try check(operands, shape: shape.checked) }
        let heads = try RandomHeads(shape: shape, seed: seed)
        var scores: [any BlockScores] = []
        for operands in ScoreBench.Operands.allCases { scores.append(try operands.scores(heads, kernel: kernel)) }
        let blocks = ScoredBlock.all(shape)
        let timings = try Timing.alternating(scores.count, rounds: rounds) { index throws(InputError) in
            try scores[index].packKeys()
            let own = scores[index]
            kernel.pool.run(blocks.count) { worker, block in own.score(blocks[block], worker: worker) }
        }
        let exact = ScoreBench.Operands.allCases.firstIndex(of: .fp32)!
        let pairs = blocks.reduce(0) { $0 + $1.rows.count * $1.keys }
        return zip(ScoreBench.Operands.allCases, scores.indices).map { operands, index in
            let timing = timings[index]
            return ScoreBench.Row(
                operands: operands, isa: kernel.instructionSet.rawValue, threads: kernel.pool.threads, length: shape.keyCount,
                queryHeads: shape.queryHeads, keyValueHeads: shape.keyValueHeads, headDimension: shape.headDimension,
                milliseconds: timing.median, millisecondsLeast: timing.least, millisecondsMost: timing.most,
                gigaoperations: 2 * Double(shape.headDimension) * Double(pairs) / timing.median / 1e6,
                shareOfFP32Time: timing.median / timings[exact].median,
                heaviestAgreement: ScoreBench.agreement(scores[index], with: scores[exact], shape: shape))
        }
    }

    /// Maxima must be the scalar reference's: of the same whole numbers in INT8, of FP32 in others.
    private func check(_ operands: ScoreBench.Operands, shape: AttentionShape) throws(InputError) {
        let heads = try RandomHeads(shape: shape, seed: seed)
        let own = try operands.scores(heads, kernel: kernel)
        let other = try kernel.instructionSet.checkingKernel(pool: kernel.pool)
        let reference = try (operands == .int8 ? operands : .fp32).scores(heads, kernel: other)
        var (difference, largest): (Float, Float) = (0, 0)
        for block in ScoredBlock.all(shape) {
            for (own, reference) in zip(own.maxima(block).joined(), reference.maxima(block).joined()) {
                difference = own.isNaN ? .infinity : max(difference, abs(own - reference))
                largest = max(largest, abs(reference))
            }
        }
        guard difference <= operands.tolerance * largest else {
            throw InputError(
                .internalFailure, field: operands.rawValue, value: "\(difference / largest)",
                rule: "must agree with the scalar reference to \(operands.tolerance)")
        }
    }
}
