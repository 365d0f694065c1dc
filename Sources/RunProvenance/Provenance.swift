import AttentionKernels
import Foundation

/// Where a set of numbers came from.
public struct Provenance: Hashable, Sendable, Codable {
    public var tool: Tool
    public var machine: Machine
    public var seed: UInt64
    public var texts: [Text]
    public var lengths: [Int]
    /// ISO 8601, UTC.
    public var date: String
    /// The share of its threads' time in which the run had work for them, until these numbers were put together. Nil where nobody measured
    /// it.
    public var threadsBusy: Double?
    /// By rank, of work that several shared; `machine` is rank 0's. Nil for one process.
    public var ranks: [Machine]?

    public struct Tool: Hashable, Sendable, Codable {
        public var version, commit: String
        public init(version: String, commit: String) {
            self.version = version
            self.commit = commit
        }
    }

    public struct Machine: Hashable, Sendable, Codable {
        public var cpu, instructionSet: String
        public var threads: Int
        /// The format of the kernel's matrix products; FP32 in files that do not say.
        public var precision: Precision

        public init(cpu: String, instructionSet: String, threads: Int, precision: Precision) {
            self.cpu = cpu
            self.instructionSet = instructionSet
            self.threads = threads
            self.precision = precision
        }

        public init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            self.init(
                cpu: try container.decode(String.self, forKey: .cpu),
                instructionSet: try container.decode(String.self, forKey: .instructionSet),
                threads: try container.decode(Int.self, forKey: .threads),
                precision: try container.decodeIfPresent(Precision.self, forKey: .precision) ?? .fp32)
        }
    }

    public struct Text: Hashable, Sendable, Codable {
        public var name, sha256: String
        public init(name: String, sha256: String) {
            self.name = name
            self.sha256 = sha256
        }
    }

    public init(
        tool: Tool, machine: Machine, seed: UInt64, texts: [Text], lengths: [Int], date: String, threadsBusy: Double? = nil,
        ranks: [Machine]? = nil
    ) {
        self.tool = tool
        self.machine = machine
        self.seed = seed
        self.texts = texts
        self.lengths = lengths
        self.date = date
        self.threadsBusy = threadsBusy
        self.ranks = ranks
    }
}

extension Provenance {
    /// One line for people: the machine, or those of all ranks.
    package var machineSummary: String {
        guard let ranks else { return machine.summary }
        let kinds = Set(ranks.map(\.summary)).sorted()
        return "\(ranks.count) ranks: " + kinds.joined(separator: "; ")
    }
}

extension Provenance.Machine {
    /// One line for people.
    package var summary: String { "\(cpu), \(instructionSet), \(threads) threads, \(precision.rawValue.uppercased())" }

    /// This machine's processor, as the system names it.
    package static let cpuName: String = {
        let lines = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8))?.split(separator: "\n") ?? []
        let line = lines.first { $0.hasPrefix("model name") }
        return line?.split(separator: ":").last.map { $0.trimmingCharacters(in: .whitespaces) } ?? "unknown"
    }()
}
