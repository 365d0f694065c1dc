import AttentionCore
import AttentionKernels
import SampleAttention
import SampleStatistics

/// From which length on a sparse setting is no slower than dense attention: measured, not predicted.
public struct DenseCrossover: Hashable, Sendable, Codable {
    /// Representative sparse settings.
    public enum Setting: String, CaseIterable, Codable, Sendable {
        /// A window of 256 and four sinks, for which nothing is sampled.
        case window
        /// The same window and the columns that hold 90 % of the mass of 1 % of the rows.
        case sampled
    }

    /// Lengths that are measured unless the caller says otherwise.
    public static let standardLengths = Calibration.standardLengths.filter { $0 <= longest }
    /// Where sparse attention has not won at this length, no window helps.
    static let longest = 8192
    fileprivate static let heads = 4

    /// What was sparse: the name of a `Setting`, or the caller's.
    public let setting: String
    /// Ascending.
    public let lengths: [Int]
    /// Wall seconds of a layer at each length, medians.
    public let denseSeconds, sparseSeconds: [Double]
    /// The least of the lengths from which on sparse is no slower, there and at all longer ones; nil when it is slower at the longest.
    public let denseBelow: Int?

    /// - Parameter setting: what the sparse times are of.
    public init(setting: String, lengths: [Int], denseSeconds: [Double], sparseSeconds: [Double]) {
        precondition(lengths.count == denseSeconds.count && lengths.count == sparseSeconds.count, "a time a length")
        self.setting = setting
        self.lengths = lengths
        self.denseSeconds = denseSeconds
        self.sparseSeconds = sparseSeconds
        let wins = lengths.indices.reversed().prefix { sparseSeconds[$0] <= denseSeconds[$0] }
        denseBelow = wins.last.map { lengths[$0] }
    }

    /// Measures a setting of one's own.
    ///
    /// - Parameters:
    ///   - seconds: wall seconds of a layer of some length, dense or sparse; called in turn, `rounds` times each.
    public static func measure(
        _ setting: String, lengths: [Int] = Self.standardLengths, rounds: Int = 7,
        seconds: (_ length: Int, _ isDense: Bool) throws(InputError) -> Double
    ) throws(InputError) -> DenseCrossover {
        var medians: (dense: [Double], sparse: [Double]) = ([], [])
        for length in lengths {
            var times: (dense: [Double], sparse: [Double]) = ([], [])
            for _ in 0..<rounds {
                times.dense.append(try seconds(length, true))
                times.sparse.append(try seconds(length, false))
            }
            medians.dense.append(Quantiles.median(times.dense))
            medians.sparse.append(Quantiles.median(times.sparse))
        }
        return DenseCrossover(setting: setting, lengths: lengths, denseSeconds: medians.dense, sparseSeconds: medians.sparse)
    }

    /// Measures a representative setting on a made-up layer of four heads.
    public static func measure(
        _ setting: Setting, kernel: AttentionKernel, headDimension: Int, lengths: [Int] = Self.standardLengths, seed: UInt64 = 1
    ) throws(InputError) -> DenseCrossover {
        let layer = try CalibrationLayer(rows: heads * (lengths.max() ?? 0), dimension: headDimension, seed: seed)
        let timer = LayerTimer(kernel: kernel)
        return try measure(setting.rawValue, lengths: lengths) { length, isDense throws(InputError) in
            try timer.seconds(isDense ? .dense(length: length) : setting.sparse(length: length), layer: layer)
        }
    }
}

extension DenseCrossover.Setting {
    fileprivate func sparse(length: Int) -> CalibrationSetting {
        var parameters = SampleAttentionParameters.bareWindow(256, denseLastRows: 64)
        parameters.alpha = try! Fraction(0.9)
        parameters.sampleRatio = try! Fraction(0.01)
        return CalibrationSetting(
            kind: self == .window ? .window : .stripes, length: length, heads: DenseCrossover.heads, parameters: parameters)
    }
}

extension CalibrationSetting {
    fileprivate static func dense(length: Int) -> CalibrationSetting {
        CalibrationSetting(kind: .dense, length: length, heads: DenseCrossover.heads, parameters: .dense)
    }
}
