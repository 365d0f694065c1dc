import AttentionCore
import AttentionKernels
import DurableFiles
import Foundation
import RunProvenance
import SampleAttention

/// Where what was measured of machines is kept, in one folder: a calibration for each machine, precision and head dimension, and
/// which precision a machine multiplies faster.
public struct MachineCache: Hashable, Sendable {
    /// Made when something is kept.
    public let directory: String

    /// A folder that need not exist yet.
    public init(directory: String) { self.directory = directory }

    /// `$XDG_CACHE_HOME/sample-attention`, or `~/.cache/sample-attention` where that is not set.
    ///
    /// Source: XDG Base Directory Specification: relative paths are ignored.
    public static func standard(environment: [String: String] = ProcessInfo.processInfo.environment) -> MachineCache {
        let named = environment["XDG_CACHE_HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil }
        return MachineCache(directory: (named ?? (environment["HOME"] ?? NSHomeDirectory()) + "/.cache") + "/sample-attention")
    }

    /// The file of a machine, whose name says which.
    public func path(machine: Provenance.Machine, headDimension: Int) -> String {
        let facts = [
            machine.cpu, machine.instructionSet, "\(machine.threads)-threads", machine.precision.rawValue, "d\(headDimension)",
        ]
        return path("latency", of: facts)
    }

    /// A file whose name says what its content holds for.
    func path(_ kind: String, of facts: [String]) -> String {
        let name = facts.joined(separator: "-").lowercased().unicodeScalars.prefix(200)
            .map { ("a"..."z").contains($0) || ("0"..."9").contains($0) ? Character($0) : "-" }
        return "\(directory)/\(kind)-\(String(name)).json"
    }

    /// The calibration that holds here, or a new one, which is then kept.
    ///
    /// One that predicts badly is not kept. A kept one holds for the same CPU, instruction set, threads, precision, head dimension and tool. What cannot be read or written
    /// costs a warning and never more than measuring again.
    ///
    /// - Parameters:
    ///   - provenance: this tool on this machine.
    ///   - refresh: measures even if a kept one holds.
    ///   - warn: gets a line for people.
    ///   - measure: makes a new one.
    public func file(
        for provenance: Provenance, headDimension: Int, refresh: Bool = false, warn: (String) -> Void,
        measure: () throws(InputError) -> LatencyFile
    ) throws(InputError) -> LatencyFile {
        let path = path(machine: provenance.machine, headDimension: headDimension)
        if !refresh, FileManager.default.fileExists(atPath: path) {
            do throws(InputError) {
                let kept = try LatencyFile(contentsOf: path)
                if kept.holds(for: provenance, headDimension: headDimension) { return kept }
            } catch {
                warn("\(error.description); measuring again")
            }
        }
        let file = try measure()
        // What was measured on a busy machine is used, with a warning, and not kept.
        if file.doubt != nil { return file }
        do throws(InputError) {
            try store(file.encoded(), at: path)
        } catch {
            warn("the latency model is not kept: \(error.description)")
        }
        return file
    }

    func store(_ data: Data, at path: String) throws(InputError) {
        do {
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        } catch {
            throw InputError(.cannotCreate, file: directory, rule: "the cache folder must be writable")
        }
        try AtomicFile.write(data, to: path)
    }
}

extension LatencyModel {
    /// The machine's calibration, kept from an earlier run or measured now; `file.model` is the model.
    ///
    /// - Parameters:
    ///   - provenance: this tool on this machine, as it will be recorded.
    ///   - cache: where calibrations are kept; nil measures and keeps nothing.
    ///   - refresh: measures even if a kept one holds.
    ///   - warn: gets a line for people when the cache cannot be read or written, or the model predicts badly.
    ///   - progress: called while measuring, see `Calibration.Progress`.
    public static func calibrated(
        kernel: AttentionKernel, headDimension: Int, provenance: Provenance, cache: MachineCache? = .standard(),
        refresh: Bool = false, warn: (String) -> Void = { _ in }, progress: Calibration.Progress = { _, _, _ in }
    ) throws(InputError) -> LatencyFile {
        func measure() throws(InputError) -> LatencyFile {
            try Calibration(kernel: kernel, headDimension: headDimension, seed: provenance.seed).run(
                provenance: provenance, progress: progress)
        }
        let file: LatencyFile
        if let cache {
            file = try cache.file(for: provenance, headDimension: headDimension, refresh: refresh, warn: warn, measure: measure)
        } else {
            file = try measure()
        }
        if let doubt = file.doubt { warn(doubt) }
        return file
    }
}
