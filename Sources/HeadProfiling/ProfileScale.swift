import AttentionCore

/// What a profile measures every head at.
public struct ProfileScale: Hashable, Sendable, Codable {
    /// The α of SD(α) and of structured SD(α), as asked for.
    public let alphas: [Double]
    /// First keys whose mass is measured together.
    public let sinks: [Int]
    /// Windows, in positions a query sees back from itself, itself included; also those that structured patterns may have.
    public let windows: [Int]
    /// Numbers of heaviest key columns.
    public let columns: [Int]
    /// Numbers of heaviest slashes: diagonals of 128-token blocks.
    public let slashes: [Int]

    public init(alphas: [Fraction]) {
        self.alphas = alphas.map(\.value)
        sinks = [1, 4, 16, 64]
        windows = (6...13).map { 1 << $0 }
        columns = [16, 64, 256, 1024]
        slashes = [1, 4, 16, 64]
    }

    /// The windows that leave something out of a prompt.
    func windows(below keyCount: Int) -> [Int] { windows.filter { $0 < keyCount } }

    /// The α that single-valued figures are drawn at: 0.95 where it was asked for, else the first.
    public var mainAlpha: Int { alphas.firstIndex(of: 0.95) ?? 0 }
}

/// How many lines (columns, or columns and slashes) nested patterns keep: 0, 1, 2, …, four to an octave, up to all.
///
/// A structured optimum is searched on this grid, so it is at most 19 % of its lines away from the best number of them.
struct LineCounts {
    let counts: [Int]

    init(upTo all: Int) {
        var counts = [0]
        for step in 0... {
            let next = max(counts.last! + 1, Int(exp2Quarter(step).rounded()))
            if next >= all { break }
            counts.append(next)
        }
        self.counts = counts + (all > 0 ? [all] : [])
    }

    /// For each line the first entry of `counts` that includes it, given all lines from the first to be kept to the last.
    func steps(ofRanked lines: [Int]) -> [UInt8] {
        var steps = [UInt8](repeating: 0, count: lines.count)
        var step = 0
        for (rank, line) in lines.enumerated() {
            while counts[step] <= rank { step += 1 }
            steps[line] = UInt8(step)
        }
        return steps
    }
}

/// 2^(step / 4).
private func exp2Quarter(_ step: Int) -> Double {
    let fractions = [1, 1.189207115002721, 1.4142135623730951, 1.681792830507429]
    return Double(1 << (step / 4)) * fractions[step % 4]
}
