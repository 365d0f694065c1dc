import AttentionCore
import Autotuning
import SampleAttention

/// What predictions of one head are worth: learned from its options that were predicted and measured both.
///
/// Gradients tell small changes, and too little of large ones: a head without which an answer is lost moves that answer's token by nats
/// where its gradient, of a model that is sure, is nearly nothing. How far it is off is much the same for neighbouring options of one head,
/// but not for key blocks and others, of which the former keep what a row looks up.
package struct HeadCalibration {
    private enum Family: Hashable {
        case keyBlocks, others

        init(_ parameters: SampleAttentionParameters) { self = parameters.pattern == .keyBlocks ? .keyBlocks : .others }
    }

    private var points: [Family: [(predicted: FloorShares, measured: FloorShares)]] = [:]

    /// What rounding in BF16 moves, in shares of the floor, and some more: KL of 1e-4 nats over all positions of the bundled model, up to
    /// 7e-5 at its answers.
    private static let textNoise = 0.01, answerNoise = 0.03

    package init() {}

    package mutating func learn(_ parameters: SampleAttentionParameters, predicted: FloorShares, measured: FloorShares) {
        points[Family(parameters), default: []].append((predicted, measured))
    }

    package func corrected(_ parameters: SampleAttentionParameters, _ predicted: FloorShares) -> FloorShares {
        let known = points[Family(parameters)] ?? []
        let text = CalibrationCurve(known.map { ($0.predicted.text, $0.measured.text) }, noise: Self.textNoise)
        let answers = CalibrationCurve(known.map { ($0.predicted.answers, $0.measured.answers) }, noise: Self.answerNoise)
        return FloorShares(text: text.measured(predicted.text), answers: answers.measured(predicted.answers))
    }
}

/// Measured values by predicted ones, both in shares of a floor: interpolated in logarithms, in proportion beyond the ends.
package struct CalibrationCurve {
    /// Far below anything that counts, so that there are logarithms.
    private static let least = 1e-9

    /// Ascending in both.
    private var points: [(predicted: Double, measured: Double)] = []

    /// - Parameters:
    ///   - points: not negative; a measured value that falls while the predicted one grows is noise and is lifted. No points leave predictions
    ///     as they are.
    ///   - noise: measured values up to here say only that there is no more; a prediction below counts as it is.
    package init(_ points: [(predicted: Double, measured: Double)], noise: Double) {
        var highest = 0.0
        for point in points.sorted(by: { ($0.predicted, $0.measured) < ($1.predicted, $1.measured) }) {
            let measured = point.measured > noise ? point.measured : min(point.predicted, noise)
            highest = max(highest, measured + Self.least)
            if self.points.last?.predicted == point.predicted + Self.least { self.points.removeLast() }
            self.points.append((point.predicted + Self.least, highest))
        }
    }

    package func measured(_ predicted: Double) -> Double {
        let value = predicted + Self.least
        guard let first = points.first, let last = points.last else { return predicted }
        guard value > first.predicted else { return max(0, first.measured * value / first.predicted - Self.least) }
        guard value < last.predicted else { return last.measured * value / last.predicted - Self.least }
        let next = points.firstIndex { $0.predicted > value }!
        let (a, b) = (points[next - 1], points[next])
        let position = logarithm(value / a.predicted) / logarithm(b.predicted / a.predicted)
        return max(0, a.measured * exponential(position * logarithm(b.measured / a.measured)) - Self.least)
    }
}
