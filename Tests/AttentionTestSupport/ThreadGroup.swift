import AttentionCore
import Foundation
import ProcessGroups
import Synchronization

/// Ranks that are threads of this process.
public final class ThreadGroup: ProcessGroup {
    public let rank: Int
    public let count: Int
    private let mail: Mail

    private final class Mail: Sendable {
        struct Letter {
            let from, to: Int
            let tag: MessageTag
            let message: Data
        }
        let letters = Mutex<[Letter]>([])
    }

    private init(rank: Int, count: Int, mail: Mail) { (self.rank, self.count, self.mail) = (rank, count, mail) }

    /// Runs `body` on every rank at once.
    ///
    /// - Returns: by rank, what it returned or threw.
    public static func run<Value: Sendable>(
        _ count: Int, _ body: @Sendable @escaping (ThreadGroup) throws -> Value
    ) -> [Result<Value, any Error>] {
        let mail = Mail()
        let results = Mutex<[Int: Result<Value, any Error>]>([:])
        let done = DispatchSemaphore(value: 0)
        for rank in 0..<count {
            Thread.detachNewThread {
                let result = Result { try body(ThreadGroup(rank: rank, count: count, mail: mail)) }
                results.withLock { $0[rank] = result }
                done.signal()
            }
        }
        for _ in 0..<count { done.wait() }
        return results.withLock { results in (0..<count).map { results[$0]! } }
    }

    public func send(_ message: Data, to rank: Int, as tag: MessageTag) {
        precondition((0..<count).contains(rank) && rank != self.rank, "there is such another rank")
        mail.letters.withLock { $0.append(.init(from: self.rank, to: rank, tag: tag, message: message)) }
    }

    public func arrived(_ tag: MessageTag, from source: Int?) -> (rank: Int, message: Data)? {
        mail.letters.withLock { letters in
            letters.firstIndex { $0.to == rank && $0.tag == tag && (source == nil || $0.from == source) }.map {
                let letter = letters.remove(at: $0)
                return (letter.from, letter.message)
            }
        }
    }

    public func finish() {}

    public func abort(_ code: Int32) -> Never { fatalError("a rank gave up") }
}
