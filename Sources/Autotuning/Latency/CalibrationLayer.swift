import AttentionCore
import AttentionKernels
import SampleAttention

/// Made-up Q, K and V of a layer in projection layout; the same rows serve any number of tokens and heads.
///
/// Keys pull all queries alike with log-normal strength: scores have a standard deviation of 2 from the pull and 1 from noise, in
/// natural units, so that some hundredth of the columns holds a third of the mass and a third nearly all, as in heads that
/// are worth making sparse. Time depends on such data only through the columns that a selection finds, which are counted.
struct CalibrationLayer: ~Copyable {
    private let dimension: Int
    private let queries, keys, values, outputs: AlignedBuffer<Float>

    /// - Parameter rows: the most tokens × query heads that a setting may ask for.
    init(rows: Int, dimension: Int, seed: UInt64) {
        self.dimension = dimension
        var random = SeededGenerator(seed: seed)
        // q₀ · k₀ / √d is 2 for a k₀ of one standard deviation.
        let pull = 2 * Double(dimension).squareRoot() / 4
        queries = random.rows(rows, dimension) { _ in 4 }
        keys = random.rows(rows, dimension) { pull * $0.normal() }
        values = random.rows(rows, dimension) { $0.normal() }
        outputs = AlignedBuffer(count: rows * dimension)
    }

    /// The first rows, dealt to the setting's tokens and heads.
    func inputs(_ setting: CalibrationSetting) -> SampleAttentionOperator.Inputs {
        precondition(setting.length * setting.heads * dimension <= outputs.count, "a layer has rows for its settings")
        func tensor(_ base: UnsafeMutablePointer<Float>, _ heads: Int) -> HeadTensor {
            HeadTensor(projection: base, heads: heads, tokens: setting.length, dimension: dimension)
        }
        return .init(
            query: tensor(queries.base, setting.heads), key: tensor(keys.base, setting.keyValueHeads),
            value: tensor(values.base, setting.keyValueHeads))
    }

    /// Room for what comes out.
    func output(_ setting: CalibrationSetting) -> MutableHeadTensor {
        MutableHeadTensor(projection: outputs.base, heads: setting.heads, tokens: setting.length, dimension: dimension)
    }
}

extension SeededGenerator {
    /// [row][dimension] of even noise with a variance of 1, but for each row's first element.
    fileprivate mutating func rows(_ count: Int, _ dimension: Int, first: (inout SeededGenerator) -> Double) -> AlignedBuffer<Float> {
        let buffer = AlignedBuffer<Float>(count: count * dimension)
        for row in 0..<count {
            buffer[row * dimension] = Float(first(&self))
            for index in 1..<dimension { buffer[row * dimension + index] = Float(uniform() * 2 - 1) * 1.7320508 }
        }
        return buffer
    }
}
