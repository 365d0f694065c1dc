import AttentionCore
import ProcessGroups
import Synchronization

/// Does work item by item, each item once: what a journal holds is taken from there, and what is done is in the journal before it is used.
///
/// An item is a value that names its work whole. With inputs that all items share and none changes it can be done alone, in any order, by
/// any thread or machine, and gives the same record; random numbers come from a seed and the item, never from what was done before. Work
/// that follows from earlier results is a loop around items, which reads their records. Equal items are the same work: two calls must not
/// be given one at a time, nor one call the same item twice.
public final class WorkExecutor<Item: Hashable & Sendable, Record: Sendable>: Sendable {
    /// How far the executor is with some items.
    public struct Progress: Sendable {
        /// The one that was done last.
        public let item: Item
        /// Work that is done, that of recorded items included, and all there is.
        public let done, total: Int
    }

    private let append: @Sendable ([Record]) throws(InputError) -> Void
    private let known: Mutex<[Item: Record]>
    /// Nil where one process does everything.
    private let sharing: WorkSharing<Record>?

    /// - Parameters:
    ///   - recorded: what was done before; of two records of an item the later counts.
    ///   - append: keeps records, of several all or none; a record that it throws for is not used.
    public init(
        recorded: [(Item, Record)] = [], append: @escaping @Sendable ([Record]) throws(InputError) -> Void = { _ in }
    ) {
        self.append = append
        known = Mutex(Dictionary(recorded) { $1 })
        sharing = nil
    }

    /// An executor on each rank of a group: `run(_:work:isOver:progress:measure:)`, which all of them call with the same items, shares these out. Only it may be
    /// called of the forms that measure.
    ///
    /// - Parameters:
    ///   - recorded: what was done before; the same on all ranks.
    ///   - append: keeps records; called on rank 0 alone.
    public init(
        recorded: [(Item, Record)] = [], in group: any ProcessGroup,
        append: @escaping @Sendable ([Record]) throws(InputError) -> Void = { _ in }
    ) where Record: Codable {
        self.append = append
        known = Mutex(Dictionary(recorded) { $1 })
        sharing = group.isAlone ? nil : WorkSharing(group)
    }

    /// - Parameters:
    ///   - journal: nil keeps nothing on the disk.
    ///   - item: the one that a record is of.
    public convenience init<Header>(journal: ResultJournal<Header, Record>?, item: (Record) -> Item) where Record: Codable {
        self.init(recorded: (journal?.recorded ?? []).map { (item($0), $0) }) { records throws(InputError) in
            try journal?.append(records)
        }
    }

    /// All records there are.
    public var records: [Item: Record] { known.withLock { $0 } }

    /// The record of an item; nil when it was not done yet.
    public subscript(item: Item) -> Record? { known.withLock { $0[item] } }

    /// The work of those items that are recorded.
    ///
    /// - Parameter work: an item's share of the whole, in any unit.
    public func done(_ items: some Sequence<Item>, work: (Item) -> Int = { _ in 1 }) -> Int {
        known.withLock { known in items.reduce(0) { known[$1] == nil ? $0 : $0 + work($1) } }
    }

    /// The record of an item, measured when there is none.
    ///
    /// - Throws: what `measure` throws, and where the journal cannot be written.
    public func record(of item: Item, measure: () throws -> Record) throws -> Record {
        if let record = self[item] { return record }
        precondition(sharing == nil, "ranks share out what is measured item by item")
        let record = try measure()
        try keep([(item, record)])
        return record
    }

    /// Measures what is not recorded, in order; ranks of a group measure it together, what is longest first, and have the same records afterwards.
    ///
    /// - Parameters:
    ///   - work: an item's share of the whole, in any unit.
    ///   - isOver: asked before each item that is not recorded; once it says so, all that are not recorded are left out.
    ///   - progress: called after each item that was measured.
    /// - Returns: a record for each item, nil for those left out.
    /// - Throws: what `measure` throws, and where the journal cannot be written.
    @discardableResult
    public func run(
        _ items: [Item], work: (Item) -> Int = { _ in 1 }, isOver: () -> Bool = { false }, progress: (Progress) -> Void = { _ in },
        measure: (Item) throws -> Record
    ) throws -> [Record?] {
        let total = items.reduce(0) { $0 + work($1) }
        var done = done(items, work: work)
        func keep(_ record: Record, of item: Item) throws(InputError) {
            try self.keep([(item, record)])
            done += work(item)
            progress(Progress(item: item, done: done, total: total))
        }
        let missing = items.filter { self[$0] == nil }
        if let sharing {
            let longestFirst = missing.indices.sorted { (work(missing[$0]), $1) > (work(missing[$1]), $0) }.map { missing[$0] }
            let records = try sharing.run(
                longestFirst.count, isOver: isOver, keep: { index, record throws(InputError) in try keep(record, of: longestFirst[index]) },
                measure: { try measure(longestFirst[$0]) })
            known.withLock { known in
                for (index, record) in records { known[longestFirst[index]] = record }
            }
        } else {
            for item in missing {
                if isOver() { break }
                try keep(try measure(item), of: item)
            }
        }
        return items.map { self[$0] }
    }

    /// Measures what is not recorded, in order, several items at a time.
    ///
    /// - Parameters:
    ///   - count: items measured together; their records are kept together.
    ///   - isOver: asked before each several; once it says so, all that are not recorded are left out.
    ///   - progress: called after each item that was measured, once its several are kept.
    ///   - measure: gets at most `count` items that are not recorded and gives a record for each.
    /// - Throws: what `measure` throws, and where the journal cannot be written.
    public func run(
        _ items: [Item], together count: Int, isOver: () -> Bool = { false }, progress: (Progress) -> Void = { _ in },
        measure: ([Item]) throws -> [Record]
    ) throws {
        let missing = known.withLock { known in items.filter { known[$0] == nil } }
        var done = items.count - missing.count
        for start in stride(from: 0, to: missing.count, by: count) {
            let some = Array(missing[start..<min(start + count, missing.count)])
            guard try run(together: some, isOver: isOver, measure: measure) else { return }
            for item in some {
                done += 1
                progress(Progress(item: item, done: done, total: items.count))
            }
        }
    }

    /// Measures what is not recorded in one go, as a kernel does all heads of a layer.
    ///
    /// - Parameters:
    ///   - isOver: asked when something is not recorded.
    ///   - measure: gets the items that are not recorded, in order, and gives a record for each: nil where there is none to be had.
    /// - Returns: false when items were left out because time is over.
    /// - Throws: what `measure` throws, and where the journal cannot be written.
    public func run(
        together items: [Item], isOver: () -> Bool = { false }, measure: ([Item]) throws -> [Record?]
    ) throws -> Bool {
        let missing = known.withLock { known in items.filter { known[$0] == nil } }
        if missing.isEmpty { return true }
        precondition(sharing == nil, "ranks share out what is measured item by item")
        if isOver() { return false }
        let records = try measure(missing)
        precondition(records.count == missing.count, "every item gets its record, or nil")
        try keep(zip(missing, records).compactMap { item, record in record.map { (item, $0) } })
        return true
    }

    private func keep(_ done: [(item: Item, record: Record)]) throws(InputError) {
        if done.isEmpty { return }
        try append(done.map(\.record))
        known.withLock { known in
            for (item, record) in done { known[item] = record }
        }
    }
}
