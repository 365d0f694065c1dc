import ArgumentParser
import AttentionCore
import Foundation
import Synchronization

/// Feeds every reader of files from outside with damaged files.
///
/// Each reader runs in a process of its own, so that a crash is seen from outside, and so that memory has a limit.
@main struct FuzzParsers: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ParserFuzzing",
        abstract: "Gives damaged files to every reader of files: each is read, or refused with an InputError; nothing crashes or hangs.")

    @Option(help: "Inputs for each reader.") var inputs = 100_000
    @Option(help: "Seed of all inputs.") var seed: UInt64 = 1
    @Option(help: "Number of the first input.") var first = 0
    @Option(help: "A reader (default: all; may be given several times).") var parser: [String] = []
    @Option(help: "Folder for inputs that were not withstood.") var output = "out/fuzz"
    @Option(help: "Read this one file with the given reader, in this process.") var input: String?
    @Flag(help: ArgumentHelp("Run in this process.", visibility: .hidden)) var worker = false

    /// What a reader may use. Units: KiB of address space, as `ulimit -v` counts.
    private static let memory = 6 << 20

    func run() throws {
        let parsers = try parser.isEmpty ? FuzzedParser.all : parser.map { name throws(InputError) in try FuzzedParser.named(name) }
        if let input { return try FuzzingRun(parsers[0]).parse(fileAt: input) }
        if worker { return try FuzzingRun(parsers[0]).run(seed: seed, inputs: first..<first + inputs, folder: output) }
        try FileManager.default.createDirectory(atPath: output, withIntermediateDirectories: true)
        let failures = FailureCount()
        DispatchQueue.concurrentPerform(iterations: parsers.count) { index in
            if !fuzz(parsers[index]) { failures.add() }
        }
        if failures.count > 0 { throw ExitCode.failure }
    }

    /// - Returns: false when an input was not withstood, which is told on standard error.
    private func fuzz(_ parser: FuzzedParser) -> Bool {
        let folder = FileManager.default.fileExists(atPath: "/dev/shm") ? "/dev/shm" : FileManager.default.temporaryDirectory.path
        let work = "\(folder)/parser-fuzzing-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: work) }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments =
            ["-c", "ulimit -v \(Self.memory); ulimit -c 0; exec \"$0\" \"$@\"", Bundle.main.executablePath ?? CommandLine.arguments[0]]
            + ["--worker", "--inputs", "\(inputs)", "--seed", "\(seed)", "--first", "\(first)", "--parser", parser.name, "--output", work]
        process.environment = ProcessInfo.processInfo.environment.merging(["TMPDIR": work]) { $1 }
        do {
            try FileManager.default.createDirectory(atPath: work, withIntermediateDirectories: true)
            try process.run()
        } catch {
            Self.say("\(parser.name): \(error)")
            return false
        }
        process.waitUntilExit()
        if process.terminationReason == .exit, process.terminationStatus == 0 { return true }
        report(process, parser: parser, work: work)
        return false
    }

    private func report(_ process: Process, parser: FuzzedParser, work: String) {
        let status = process.terminationStatus
        let end =
            switch (process.terminationReason, status) {
            case (.uncaughtSignal, SIGPROF), (.uncaughtSignal, SIGALRM): "took too long"
            case (.uncaughtSignal, _): "crashed with signal \(status)"
            default: "failed"
            }
        let kept = "\(output)/\(parser.name)"
        try? FileManager.default.removeItem(atPath: kept)
        try? FileManager.default.copyItem(atPath: FuzzingRun.inputPath(in: work), toPath: kept)
        let number = (try? String(contentsOfFile: FuzzingRun.numberPath(in: work), encoding: .utf8)) ?? "none"
        Self.say(
            "\(parser.name): \(end) at input \(number) of seed \(seed). Read it again with: --parser \(parser.name) --input \(kept)")
    }

    private static func say(_ line: String) { FileHandle.standardError.write(Data((line + "\n").utf8)) }
}

/// How many readers failed, counted by several threads.
private final class FailureCount: Sendable {
    private let value = Mutex(0)
    var count: Int { value.withLock(\.self) }
    func add() { value.withLock { $0 += 1 } }
}
