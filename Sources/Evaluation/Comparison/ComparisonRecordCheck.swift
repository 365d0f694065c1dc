import AttentionCore
import DurableFiles
import LanguageModels
import SampleAttention

extension ResultJournal where Header == ComparisonHeader, Record == ComparisonRecord {
    /// Begins or continues the journal of a comparison.
    ///
    /// - Parameter turns: of the comparison; the journal has a record for each, as far as it goes, in any order.
    /// - Throws: `InputError` as `init(path:header:resume:accept:)`, and with line and field for records that those turns did not write:
    ///   a disk or an editor may have damaged them, and they are counted and divided by.
    public convenience init(comparison path: String, header: ComparisonHeader, turns: [ComparisonStudy.Turn], resume: Bool)
        throws(InputError)
    {
        try self.init(path: path, header: header, resume: resume) { records throws(InputError) in
            let own = Array(records.prefix(turns.count))
            let places = TurnPlaces(turns).places(of: own)
            try Self.require(own, path: path) { index, record in
                // A record of none of the turns is held against the one that would have written it in order.
                guard let place = places[index] else {
                    return record.fault(of: turns[index]) ?? RecordFault(field: "id", value: record.id, rule: "has a record already")
                }
                return record.fault(of: turns[place])
            }
            return own.count
        }
    }
}

/// Which turns records are of: ranks that share turns out end them in any order.
struct TurnPlaces {
    private struct Name: Hashable {
        let method, id: String
        let length: Int
    }

    private let turns: [Name: [Int]]

    init(_ turns: [ComparisonStudy.Turn]) {
        self.turns = Dictionary(grouping: turns.indices) { index in
            Name(method: turns[index].policy.name, id: turns[index].task.id, length: turns[index].task.length)
        }
    }

    /// The index of each record's turn; nil where there is none left. A record that stands in its turn's place is that turn's; of other turns of one
    /// name the first is taken.
    func places(of records: [ComparisonRecord]) -> [Int?] {
        let names = records.map { Name(method: $0.method, id: $0.id, length: $0.length) }
        func isInPlace(_ index: Int) -> Bool { turns[names[index]]?.contains(index) == true }
        var left = turns
        for index in names.indices where isInPlace(index) { left[names[index]]!.removeAll { $0 == index } }
        return names.indices.map { index in
            if isInPlace(index) { return index }
            guard let first = left[names[index]]?.first else { return nil }
            left[names[index]]!.removeFirst()
            return first
        }
    }
}

extension ComparisonRecord {
    /// Masses and densities are sums, so they may pass 1 by their rounding.
    private static let shares = 0...1.0001
    /// More questions than any task asks; sums do not overflow.
    private static let mostAsked = 1 << 32
    /// More seconds than any prefill takes, and more nats than a token loses.
    private static let most = 1e9

    /// The first field that `turn` cannot have written; nil for a record that it may have.
    fileprivate func fault(of turn: ComparisonStudy.Turn) -> RecordFault? {
        func at(_ field: String, _ value: String, _ rule: String) -> RecordFault { RecordFault(field: field, value: value, rule: rule) }
        let (name, own) = (turn.policy.name, turn.task)
        if method != name { return at("method", method, "must be \(name), whose turn it is") }
        if id != own.id { return at("id", id, "must be \(own.id), whose turn it is") }
        if task != own.name { return at("task", task, "must be \(own.name), as of the task \(id)") }
        if length != own.length { return at("length", "\(length)", "must be \(own.length), as of the task \(id)") }
        if depth != own.depth { return at("depth", depth.map { "\($0)" } ?? "none", "must be as of the task \(id)") }
        if !(0...Self.mostAsked).contains(asked) { return at("asked", "\(asked)", "must be from 0 to \(Self.mostAsked)") }
        if !(0...Double(asked)).contains(score) { return at("score", "\(score)", "must be from 0 to \(asked)") }
        if prefillSeconds < 1e-9 { return at("prefillSeconds", "\(prefillSeconds)", "must be at least a nanosecond") }
        let amounts = [
            ("prefillSeconds", prefillSeconds), ("attentionSeconds", attentionSeconds), ("selectionSeconds", selectionSeconds),
            ("negativeLogLikelihood", negativeLogLikelihood ?? 0),
        ]
        for (field, amount) in amounts where !(0...Self.most).contains(amount) {
            return at(field, "\(amount)", "must be from 0 to \(Self.most)")
        }
        let shares = [("density", density), ("meanMass", meanMass), ("minMass", minMass)]
        for (field, share) in shares where !Self.shares.contains(share ?? 0) { return at(field, "\(share!)", "must be from 0 to 1") }
        if turn.measuresMass != (meanMass != nil && minMass != nil) {
            return at("meanMass", meanMass.map { "\($0)" } ?? "none", "must be there on the first task of each length alone")
        }
        return nil
    }
}
