import AttentionCore
import CMessagePassing
import Foundation
import Synchronization

/// The ranks of an `mpirun`, or of another launcher of MPI programs.
public final class MPIGroup: ProcessGroup {
    public let rank: Int
    public let count: Int
    /// Only one thread calls MPI at a time.
    private let calls = Mutex<Void>(())

    /// Bytes that MPI counts in an `int`.
    private static let largestMessage = Int(Int32.max)

    /// The group that this process was started in; one process by itself where no launcher did, or for one alone. MPI is loaded for a group only.
    ///
    /// - Throws: `InputError` (`systemFailure`) when the launcher's MPI library cannot be loaded.
    public static func launched(environment: [String: String] = ProcessInfo.processInfo.environment) throws(InputError) -> any ProcessGroup
    {
        guard let launcher = Launcher(environment) else { return SoleProcess() }
        return try MPIGroup(library: launcher.library)
    }

    /// Ranks on this machine, as the launcher says; 1 where there is no launcher or it does not say.
    public static func ranksHere(environment: [String: String] = ProcessInfo.processInfo.environment) -> Int {
        ["OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"].compactMap { environment[$0].flatMap(Int.init) }.first ?? 1
    }

    private init(library: [String]) throws(InputError) {
        var failures: [String] = []
        for name in library {
            var error = [CChar](repeating: 0, count: 512)
            if sa_mpi_start(name, &error, error.count) == 0 {
                (rank, count) = (Int(sa_mpi_rank()), Int(sa_mpi_count()))
                return
            }
            failures.append(String(decoding: error.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self))
        }
        throw InputError(
            .systemFailure, field: "MPI", value: failures.last,
            rule: "the launcher's MPI library must be there (\(Launcher.libraryVariable) names it where it has another name)")
    }

    public func send(_ message: Data, to rank: Int, as tag: MessageTag) throws(InputError) {
        guard message.count <= Self.largestMessage else {
            throw InputError(.systemFailure, field: "message to rank \(rank)", value: "\(message.count) bytes", rule: "is too long for MPI")
        }
        let bytes = [UInt8](message)
        let error = bytes.withUnsafeBytes { bytes in
            var transfer = SATransfer()
            let error = calls.withLock { _ in sa_mpi_send(bytes.baseAddress, Int32(bytes.count), Int32(rank), tag.rawValue, &transfer) }
            return error != 0 ? error : wait(for: &transfer)
        }
        try Self.check(error, "send to rank \(rank)")
    }

    public func arrived(_ tag: MessageTag, from source: Int?) throws(InputError) -> (rank: Int, message: Data)? {
        var found: Int32 = 0
        var message = SAMessage()
        var bytes: [UInt8] = []
        // A message that was found is taken under the same lock, or another thread might take it.
        let error = calls.withLock { _ -> Int32 in
            let error = sa_mpi_probe(Int32(source ?? -1), tag.rawValue, &found, &message)
            guard error == 0, found != 0 else { return error }
            bytes = [UInt8](repeating: 0, count: Int(message.bytes))
            return bytes.withUnsafeMutableBytes { bytes in
                var transfer = SATransfer()
                var (result, done) = (sa_mpi_receive(bytes.baseAddress, message, &transfer), Int32(0))
                // The sender has begun already, so it takes as long as the bytes do.
                while result == 0, done == 0 { result = sa_mpi_test(&transfer, &done) }
                return result
            }
        }
        try Self.check(error, "receive")
        return found == 0 ? nil : (Int(message.source), Data(bytes))
    }

    public func finish() { calls.withLock { _ in _ = sa_mpi_finish() } }

    public func abort(_ code: Int32) -> Never {
        calls.withLock { _ in sa_mpi_abort(code) }
        exit(code)
    }

    private func wait(for transfer: inout SATransfer) -> Int32 {
        var pause = Pause()
        while true {
            var done: Int32 = 0
            let error = calls.withLock { _ in sa_mpi_test(&transfer, &done) }
            if error != 0 || done != 0 { return error }
            pause.wait()
        }
    }

    private static func check(_ error: Int32, _ what: String) throws(InputError) {
        if error != 0 { throw InputError(.systemFailure, field: "MPI", value: "error \(error)", rule: "could not \(what)") }
    }
}

/// What started this process as one of several.
struct Launcher: Equatable {
    static let libraryVariable = "SAMPLE_ATTENTION_MPI"

    /// Names to try, in order.
    let library: [String]

    /// Nil where nothing did.
    init?(_ environment: [String: String]) {
        let openMPI = ["libmpi.so.40", "libmpi.so"], mpich = ["libmpich.so.12", "libmpi.so.12", "libmpi.so"]
        let found: [String]
        if let size = environment["OMPI_COMM_WORLD_SIZE"].flatMap(Int.init) {
            if size == 1 { return nil }
            found = openMPI
        } else if let size = environment["PMI_SIZE"].flatMap(Int.init) {
            if size == 1 { return nil }
            found = mpich
        } else if environment["PMIX_RANK"] != nil {
            // Slurm and others that speak Open MPI's language without its mpirun.
            found = openMPI
        } else {
            return nil
        }
        library = environment[Self.libraryVariable].map { [$0] } ?? found
    }
}
