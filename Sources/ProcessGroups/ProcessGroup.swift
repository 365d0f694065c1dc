import AttentionCore
import Foundation

/// Processes that do one piece of work together, each with a rank from 0 on. Rank 0 keeps what is on the disk and speaks to people.
///
/// All ranks run the same command on the same inputs. What they must do in step they do by messages; messages of one tag from one rank arrive in
/// the order in which they were sent.
public protocol ProcessGroup: AnyObject, Sendable {
    var rank: Int { get }
    var count: Int { get }

    /// Sends a message and waits until its memory is free again, which may be when it is received.
    ///
    /// - Throws: `InputError` (`systemFailure`) when it cannot be sent.
    func send(_ message: Data, to rank: Int, as tag: MessageTag) throws(InputError)

    /// A message that has arrived; nil when there is none yet.
    ///
    /// - Parameter source: nil takes one of any rank.
    /// - Throws: `InputError` (`systemFailure`) when it cannot be received.
    func arrived(_ tag: MessageTag, from source: Int?) throws(InputError) -> (rank: Int, message: Data)?

    /// Ends this rank's part; waits for the others.
    func finish()

    /// Ends all ranks at once, for what only this one knows of.
    func abort(_ code: Int32) -> Never
}

/// What a message is about.
public enum MessageTag: Int32, Sendable {
    /// To rank 0: a rank is ready for work, or has done some.
    case report = 1
    /// From rank 0: what to do next.
    case order
    /// Something that a rank tells rank 0, or that rank 0 tells everybody.
    case value
}

extension ProcessGroup {
    public var isRoot: Bool { rank == 0 }
    /// True for one process by itself, which exchanges nothing.
    public var isAlone: Bool { count == 1 }

    /// Waits for a message.
    ///
    /// - Throws: `InputError` as `arrived`.
    public func receive(_ tag: MessageTag, from source: Int) throws(InputError) -> Data {
        var pause = Pause()
        while true {
            if let (_, message) = try arrived(tag, from: source) { return message }
            pause.wait()
        }
    }

    /// Rank 0's value, on every rank.
    ///
    /// - Parameter value: of other ranks nothing is asked, nor of one process by itself.
    /// - Throws: `InputError` as `send` and `receive`.
    public func shared<Value: Codable>(_ value: @autoclosure () throws(InputError) -> Value) throws(InputError) -> Value {
        if isAlone { return try value() }
        if !isRoot { return try decoded(receive(.value, from: 0)) }
        let value = try value()
        let message = encoded(value)
        for other in 1..<count { try send(message, to: other, as: .value) }
        return value
    }

    /// Every rank's value, by rank, on rank 0; nil on others.
    ///
    /// - Throws: `InputError` as `send` and `receive`.
    public func gathered<Value: Codable>(_ value: Value) throws(InputError) -> [Value]? {
        guard isRoot else {
            try send(encoded(value), to: 0, as: .value)
            return nil
        }
        var values = [value]
        for other in 1..<max(1, count) { values.append(try decoded(receive(.value, from: other))) }
        return values
    }
}

/// Waiting for what other ranks do: growing pauses of up to two milliseconds, so that a rank that waits leaves its cores to others, which MPI's
/// own waiting does not.
package struct Pause {
    private var microseconds: UInt32 = 50
    private static let longest: UInt32 = 2000

    package init() {}

    package mutating func wait() {
        usleep(microseconds)
        microseconds = min(2 * microseconds, Self.longest)
    }
}

/// One process by itself.
public final class SoleProcess: ProcessGroup {
    public let rank = 0
    public let count = 1

    public init() {}

    public func send(_ message: Data, to rank: Int, as tag: MessageTag) { preconditionFailure("there is no other rank") }

    public func arrived(_ tag: MessageTag, from source: Int?) -> (rank: Int, message: Data)? { nil }

    public func finish() {}

    public func abort(_ code: Int32) -> Never { exit(code) }
}

/// A message that holds a value.
package func encoded(_ value: some Encodable) -> Data {
    // What is exchanged is made of text and of numbers that journals hold, which are finite.
    do { return try JSONEncoder().encode(value) } catch { preconditionFailure("a message cannot be encoded: \(error)") }
}

/// The value that a message holds.
///
/// - Throws: `InputError` (`internalFailure`) for another message.
package func decoded<Value: Decodable>(_ message: Data) throws(InputError) -> Value {
    do {
        return try JSONDecoder().decode(Value.self, from: message)
    } catch {
        throw InputError(.internalFailure, field: "message of another rank", rule: "cannot be read: \(error)")
    }
}
