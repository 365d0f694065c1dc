import AttentionCore
import Foundation
import ProcessGroups
import Synchronization

/// Numbered work, shared out among the ranks of a group: rank 0 hands it out one number at a time, to itself too, keeps what comes back at once, and tells
/// everybody at the end. Who measures what depends on who is ready first, and nothing else does.
struct WorkSharing<Record: Sendable>: Sendable {
    /// What a rank tells rank 0.
    private enum Report: Codable {
        /// Ready, with so much work before it.
        case ready(total: Int)
        case done(index: Int, record: Data)
        case failed(TransmittedError)
    }

    /// What rank 0 answers.
    private enum Order: Codable {
        case measure(index: Int)
        /// No more: all is done, given to others, or left out; or something failed.
        case end(failure: TransmittedError?)
    }

    private let group: any ProcessGroup
    private let encode: @Sendable (Record) -> Data
    private let decode: @Sendable (Data) throws(InputError) -> Record

    init(_ group: any ProcessGroup) where Record: Codable {
        self.group = group
        encode = { encoded($0) }
        decode = { data throws(InputError) in try decoded(data) }
    }

    /// Measures the work with the numbers 0 ..< total, in order; called by all ranks.
    ///
    /// - Parameters:
    ///   - isOver: asked on rank 0 before each; once it says so, what was not handed out is left out.
    ///   - keep: called on rank 0 with each record as it comes.
    ///   - measure: called on rank 0 on another thread than the caller's.
    /// - Returns: the records by number.
    /// - Throws: `CommonFailure` on all ranks with the first failure of any of them, and `InputError` when messages fail.
    func run(
        _ total: Int, isOver: () -> Bool, keep: (Int, Record) throws(InputError) -> Void, measure: (Int) throws -> Record
    ) throws -> [(Int, Record)] {
        guard group.isRoot else {
            try work(total, exchange: { report throws(InputError) in try exchange(report) }, measure: measure)
            let kept: [Int: Data] = try group.shared([:])
            return try kept.map { ($0.key, try decode($0.value)) }
        }
        var records: [(Int, Record)] = []
        try withOwnWorker(total, measure: measure) { own in
            do {
                records = try handOut(total, own: own, isOver: isOver, keep: keep)
            } catch {
                // This rank's own worker waits for a word, too.
                own.answer(.end(failure: nil))
                throw error
            }
        }
        _ = try group.shared(Dictionary(uniqueKeysWithValues: records.map { ($0.0, encode($0.1)) }))
        return records
    }

    // MARK: Measuring

    /// Measures what is ordered until there is no more.
    private func work(_ total: Int, exchange: (Report) throws(InputError) -> Order, measure: (Int) throws -> Record) throws {
        var report = Report.ready(total: total)
        while true {
            switch try exchange(report) {
            case .measure(let index):
                do {
                    report = .done(index: index, record: encode(try measure(index)))
                } catch {
                    report = .failed(TransmittedError(error as? InputError ?? InputError(.internalFailure, rule: "\(error)")))
                }
            case .end(let failure):
                if let failure { throw CommonFailure(failure.error) }
                return
            }
        }
    }

    private func exchange(_ report: Report) throws(InputError) -> Order {
        try group.send(encoded(report), to: 0, as: .report)
        return try decoded(group.receive(.order, from: 0))
    }

    // MARK: Handing out

    /// Rank 0's own work is ordered by what answers other ranks too, which is on the caller's thread.
    private func withOwnWorker(_ total: Int, measure: (Int) throws -> Record, _ body: (Mailbox) throws -> Void) throws {
        let mailbox = Mailbox()
        try withoutActuallyEscaping(measure) { measure in
            let work = OwnWork { [self] in
                // What went wrong is in a report already.
                try? self.work(total, exchange: { report in mailbox.exchange(report) }, measure: measure)
                mailbox.close()
            }
            let thread = Thread { work.body() }
            thread.stackSize = 8 << 20
            thread.start()
            defer { mailbox.waitUntilClosed() }
            try body(mailbox)
        }
    }

    private func handOut(
        _ total: Int, own: Mailbox, isOver: () -> Bool, keep: (Int, Record) throws(InputError) -> Void
    ) throws -> [(Int, Record)] {
        var records: [(Int, Record)] = []
        var next = 0
        var failure: InputError?
        var working = group.count
        var pause = Pause()
        while working > 0 {
            var arrived: (rank: Int, report: Report)?
            if let report = own.report() {
                arrived = (0, report)
            } else if let (rank, message) = try group.arrived(.report, from: nil) {
                arrived = (rank, try decoded(message))
            }
            guard let (rank, report) = arrived else {
                pause.wait()
                continue
            }
            pause = Pause()
            switch report {
            case .ready(total): break
            case .ready(let others):
                failure =
                    failure ?? InputError(.internalFailure, field: "rank \(rank)", value: "\(others)", rule: "must have work for \(total)")
            case .done(let index, let message):
                do {
                    let record = try decode(message)
                    try keep(index, record)
                    records.append((index, record))
                } catch {
                    failure = failure ?? error
                }
            case .failed(let error): failure = failure ?? error.error
            }
            if failure == nil, next < total, !isOver() {
                try answer(rank, .measure(index: next), own: own)
                next += 1
            } else {
                next = total
                working -= 1
                try answer(rank, .end(failure: failure.map(TransmittedError.init)), own: own)
            }
        }
        if let failure { throw CommonFailure(failure) }
        return records
    }

    private func answer(_ rank: Int, _ order: Order, own: Mailbox) throws(InputError) {
        if rank == 0 { own.answer(order) } else { try group.send(encoded(order), to: rank, as: .order) }
    }

    /// Between rank 0's two threads.
    private final class Mailbox: Sendable {
        private struct State {
            var report: Report?
            var order: Order?
            var isClosed = false
        }

        private let state = Mutex(State())

        func exchange(_ report: Report) -> Order {
            state.withLock { $0.report = report }
            return wait { $0.order.take() }
        }

        func report() -> Report? { state.withLock { $0.report.take() } }

        func answer(_ order: Order) { state.withLock { $0.order = order } }

        func close() { state.withLock { $0.isClosed = true } }

        func waitUntilClosed() { wait { $0.isClosed ? () : nil } }

        private func wait<Value: Sendable>(_ value: (inout State) -> sending Value?) -> Value {
            var pause = Pause()
            while true {
                if let value = state.withLock({ value(&$0) }) { return value }
                pause.wait()
            }
        }
    }

    /// Runs on one thread while the one that made it waits for it.
    private struct OwnWork: @unchecked Sendable {
        let body: () -> Void
    }
}
