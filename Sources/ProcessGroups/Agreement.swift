import AttentionCore
import Foundation

/// Something that all ranks must have alike, such as the model's hash.
public struct SharedFact: Codable, Hashable, Sendable {
    public let name, value: String

    public init(_ name: String, _ value: String) { (self.name, self.value) = (name, value) }
}

/// A failure that every rank knows of, so that each ends by itself and rank 0 alone speaks of it.
public struct CommonFailure: Error {
    public let error: InputError

    package init(_ error: InputError) { self.error = error }
}

/// How work begins: each rank says what it is about to work with, or why it cannot, and all of them learn whether all can.
public enum Agreement {
    private struct Statement: Codable {
        let host: String
        let facts: [SharedFact]
        let failure: TransmittedError?
    }

    /// Every rank calls it once, with facts in the same order.
    ///
    /// - Throws: `CommonFailure` on all ranks: the first failure by rank, or the first fact that a rank has otherwise than rank 0;
    ///   `InputError` when messages fail.
    public static func reach(_ facts: [SharedFact], failure: InputError? = nil, in group: any ProcessGroup) throws {
        if group.isAlone { return }
        let own = Statement(host: ProcessInfo.processInfo.hostName, facts: facts, failure: failure.map(TransmittedError.init))
        let statements = try group.gathered(own)
        let found: TransmittedError? = statements.flatMap(fault).map(TransmittedError.init)
        if let fault = try group.shared(found) { throw CommonFailure(fault.error) }
    }

    private static func fault(_ statements: [Statement]) -> InputError? {
        for (rank, statement) in statements.enumerated() {
            // Rank 0 is where people look, and need not be named.
            if let failure = statement.failure?.error { return rank == 0 ? failure : failure.within("rank \(rank) on \(statement.host)") }
        }
        for (rank, statement) in statements.enumerated() {
            for (own, others) in zip(statement.facts, statements[0].facts) where own != others {
                return InputError(
                    .configuration, field: "rank \(rank) on \(statement.host), \(own.name)", value: own.value,
                    rule: "must be \(others.value), as on rank 0")
            }
        }
        return nil
    }
}

/// An `InputError` on its way to another rank.
package struct TransmittedError: Codable, Sendable {
    private let code: String
    private let file, field, value: String?
    private let rule: String

    package init(_ error: InputError) {
        (code, file, field, value, rule) = (error.code.rawValue, error.file, error.field, error.value, error.rule)
    }

    package var error: InputError {
        InputError(InputError.Code(rawValue: code) ?? .internalFailure, file: file, field: field, value: value, rule: rule)
    }
}
