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
    /// - Throws: `InputError` (`systemFailure`) when the system does not give the memory.
    init(rows: Int, dimension: Int, seed: UInt64) throws(InputError) {
        func room() throws(InputError) -> AlignedBuffer<Float> { try AlignedBuffer(extents: rows, dimension, of: "layer of \(rows) rows") }
        let query = try room()
        let key = try room()
        let value = try room()
        let output = try room()
        var random = SeededGenerator(seed: seed)
        // q₀ · k₀ / √d is 2 for a k₀ of one standard deviation.
        let pull = 2 * Double(dimension).squareRoot() / 4
        random.fill(query, rows, dimension) { _ in 4 }
        random.fill(key, rows, dimension) { pull * $0.normal() }
        random.fill(value, rows, dimension) { $0.normal() }
        self.dimension = dimension
        queries = query
        keys = key
        values = value
        outputs = output
    }

    /// The first rows, dealt to the setting's tokens and heads.
    func inputs(_ setting: CalibrationSetting) -> LayerInputs {
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
    fileprivate mutating func fill(
        _ buffer: borrowing AlignedBuffer<Float>, _ count: Int, _ dimension: Int, first: (inout SeededGenerator) -> Double
    ) {
        for row in 0..<count {
            buffer[row * dimension] = Float(first(&self))
            for index in 1..<dimension { buffer[row * dimension + index] = Float(uniform() * 2 - 1) * 1.7320508 }
        }
    }
}
