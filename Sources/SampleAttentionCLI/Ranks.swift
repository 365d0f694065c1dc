import ArgumentParser
import AttentionCore
import AttentionKernels
import Foundation
import Parallelism
import ProcessGroups
import RunProvenance

/// A command that ranks of `mpirun` share: all of them run it, and rank 0 alone writes and speaks.
protocol SharedCommand: ParsableCommand {}

/// The ranks that this process was started among.
enum Ranks {
    private static let launched = Result { () throws(InputError) in try MPIGroup.launched() }

    /// Messages and results of other ranks than 0 are nobody's, but for what only they know.
    private nonisolated(unsafe) static var isSilent = false
    private nonisolated(unsafe) static var hasAgreed = false
    /// Of all ranks that have agreed, on rank 0.
    private(set) nonisolated(unsafe) static var machines: [Provenance.Machine]?

    /// Cores for this rank's threads: those that it may run on, and no more than its share of the machine's.
    static var ownCores: Int {
        min(WorkerPool.availableCores, max(1, ProcessInfo.processInfo.processorCount / max(1, MPIGroup.ranksHere())))
    }

    static var group: any ProcessGroup { (try? launched.get()) ?? SoleProcess() }
    static var isRoot: Bool { group.isRoot }
    static var speaks: Bool { !isSilent }

    /// Loads MPI where a launcher started this process as one of several.
    ///
    /// - Throws: `InputError`: `systemFailure` where that cannot be loaded.
    static func start() throws(InputError) {
        isSilent = !(try launched.get().isRoot)
        // Progress is shown by what this says, wherever it is shown from.
        if isSilent { setenv("SAMPLE_ATTENTION_PROGRESS", "off", 1) }
    }

    /// - Throws: `InputError` (`usage`) for a command that one process runs by itself.
    static func check(_ command: any ParsableCommand) throws(InputError) {
        let name = type(of: command).configuration.commandName
        // The parser has a command for --help.
        if group.isAlone || command is any SharedCommand || name == "help" { return }
        throw InputError(
            .usage, field: "command", value: name,
            rule: "runs in one process: start it without mpirun")
    }

    /// To be called by every rank when all that can fail by itself is done, and before any work: every rank has the same program, arguments and inputs.
    ///
    /// - Parameter inputs: what the work is on beside the model.
    /// - Throws: as `Agreement.reach`.
    static func agree(_ session: Session, on inputs: [SharedFact]) throws {
        if group.isAlone { return }
        let identity = try session.identity()
        hasAgreed = true
        try Agreement.reach(
            [
                SharedFact("version", ToolVersion.text), SharedFact("weights", identity.weightsSHA256),
                SharedFact("tokenizer", identity.tokenizerSHA256), SharedFact("precision", session.kernel.precision.rawValue),
                SharedFact("arguments", "\(CommandLine.arguments.count - 1)"),
            ] + CommandLine.arguments.enumerated().dropFirst().map { SharedFact("argument \($0)", $1) } + inputs, in: group)
        machines = try group.gathered(session.provenance().machine)
    }

    /// Work on the disk, which is rank 0's; nil elsewhere.
    static func onRoot<Value>(_ body: () throws -> Value?) rethrows -> Value? { isRoot ? try body() : nil }

    /// A failure as it is to be told, and whether every rank knows of it: then rank 0 tells it and each ends by itself. What only one rank knows of, that rank
    /// tells, and ends all others.
    ///
    /// - Parameter isCommon: whether the others knew of it before.
    static func settled(_ error: InputError, isCommon: Bool) -> (error: InputError, isCommon: Bool) {
        if group.isAlone || isCommon { return (error, true) }
        if !hasAgreed {
            hasAgreed = true
            // The others wait for this rank's word, or have failed in the same way.
            do { try Agreement.reach([], failure: error, in: group) } catch let common as CommonFailure {
                return (common.error, true)
            } catch {}
        }
        isSilent = false
        return (error.within("rank \(group.rank) on \(ProcessInfo.processInfo.hostName)"), false)
    }
}
