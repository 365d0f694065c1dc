import SampleStatistics

/// One attention on all tasks of a kind and length, beside dense attention on the same.
public struct ComparisonRow: Sendable, Hashable, Codable {
    public let method, task: String
    public let length: Int
    /// The sum of scores, and what was asked; `asked` is 0 where only the loss is of interest.
    public let score: Double
    public let asked: Int
    /// The score over dense attention's; nil without a dense row, or where that has none.
    public let scoreOverDense: Double?
    /// Mean nats a token; nil for questions.
    public let nll: Double?
    /// nll over dense attention's, minus 1; nil where that is 0.
    public let lossAboveDense: Double?
    /// Medians over tasks: to the first token, of that in attention, of that in selection.
    public let prefillSeconds, attentionSeconds, selectionSeconds: Double
    /// The quickest and the slowest prefill.
    public let prefillSecondsRange: [Double]
    /// Dense attention's prefill over this one's on the same task: the median over tasks; nil without a dense row.
    public let speedUp: Double?
    /// Selection over attention, of the medians; 0 where nothing is selected.
    public let selectionShare: Double
    /// Mean over tasks.
    public let density: Double
    /// Over every query row of every head, of one task of this length.
    public let meanMass, minMass: Double?

    /// All rows of a comparison: by task, then length, then in the methods' order.
    ///
    /// - Parameter reference: the name of dense attention among the methods.
    public static func rows(_ records: [ComparisonRecord], reference: String = "dense") -> [ComparisonRow] {
        let methods = records.map(\.method).withoutRepeats
        let masses = Dictionary(records.filter { $0.meanMass != nil }.map { (Key($0), $0) }) { first, _ in first }
        return records.map(\.task).withoutRepeats.flatMap { task in
            let ofTask = records.filter { $0.task == task }
            return Set(ofTask.map(\.length)).sorted().flatMap { length in
                let group = ofTask.filter { $0.length == length }
                let dense = group.filter { $0.method == reference }
                return methods.compactMap { method in
                    let own = group.filter { $0.method == method }
                    return own.isEmpty ? nil : ComparisonRow(own, dense: dense, mass: masses[Key(own[0])])
                }
            }
        }
    }

    private struct Key: Hashable {
        let method: String
        let length: Int

        init(_ record: ComparisonRecord) {
            method = record.method
            length = record.length
        }
    }

    private init(_ own: [ComparisonRecord], dense: [ComparisonRecord], mass: ComparisonRecord?) {
        method = own[0].method
        task = own[0].task
        length = own[0].length
        score = own.reduce(0) { $0 + $1.score }
        asked = own.reduce(0) { $0 + $1.asked }
        let reference = dense.reduce(0) { $0 + $1.score }
        scoreOverDense = reference > 0 ? score / reference : nil
        nll = Self.meanLoss(own)
        // Nothing is said of a dense loss so near to 0 that no number holds the quotient.
        let growth = nll.flatMap { own in Self.meanLoss(dense).map { own / $0 - 1 } }
        lossAboveDense = growth.flatMap { $0.isFinite ? $0 : nil }
        let seconds = own.map(\.prefillSeconds)
        prefillSeconds = Quantiles.median(seconds)
        attentionSeconds = Quantiles.median(own.map(\.attentionSeconds))
        selectionSeconds = Quantiles.median(own.map(\.selectionSeconds))
        prefillSecondsRange = [seconds.min()!, seconds.max()!]
        let denseSeconds = Dictionary(dense.map { ($0.id, $0.prefillSeconds) }) { first, _ in first }
        let ratios = own.compactMap { record in denseSeconds[record.id].map { $0 / record.prefillSeconds } }
        speedUp = ratios.isEmpty ? nil : Quantiles.median(ratios)
        selectionShare = attentionSeconds > 0 ? selectionSeconds / attentionSeconds : 0
        density = own.reduce(0) { $0 + $1.density } / Double(own.count)
        meanMass = mass?.meanMass
        minMass = mass?.minMass
    }

    private static func meanLoss(_ records: [ComparisonRecord]) -> Double? {
        let losses = records.compactMap(\.negativeLogLikelihood)
        return losses.isEmpty ? nil : losses.reduce(0, +) / Double(losses.count)
    }
}

/// One attention on the tasks of a kind and length whose fact stands at one depth: a cell of a needle's heat map.
public struct ComparisonCell: Sendable, Hashable, Codable {
    public let method, task: String
    public let length: Int
    public let depth: Double
    public let score: Double
    public let asked: Int

    /// All cells of a comparison, in the order of the records.
    public static func cells(_ records: [ComparisonRecord]) -> [ComparisonCell] {
        struct Place: Hashable {
            let method, task: String
            let length: Int
            let depth: Double
        }
        var sums: [Place: (score: Double, asked: Int)] = [:]
        var order: [Place] = []
        for record in records {
            guard let depth = record.depth else { continue }
            let place = Place(method: record.method, task: record.task, length: record.length, depth: depth)
            if sums[place] == nil { order.append(place) }
            sums[place, default: (0, 0)].score += record.score
            sums[place, default: (0, 0)].asked += record.asked
        }
        return order.map { place in
            ComparisonCell(
                method: place.method, task: place.task, length: place.length, depth: place.depth, score: sums[place]!.score,
                asked: sums[place]!.asked)
        }
    }
}

extension Array where Element: Hashable {
    /// Each element once, where it first stands.
    package var withoutRepeats: [Element] {
        var seen: Set<Element> = []
        return filter { seen.insert($0).inserted }
    }
}
