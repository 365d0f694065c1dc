import AttentionTestSupport
import Foundation
import HaystackModel
import Testing

/// The built program, run as its users run it.
enum Program {
    /// What a finished run left behind.
    struct Outcome {
        /// 0…255, or 128 + the signal that ended it, as a shell would say.
        let exitCode: Int32
        let output, errors: String
        let seconds: Double

        func json() throws -> [String: Any] {
            try #require(
                JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: Any], "not one JSON object: \(output.prefix(500))")
        }
    }

    /// `swift build` and `swift test` put the executable beside the tests and the resource bundles.
    static let path: String = {
        let besideTests = Bundle.main.executableURL?.deletingLastPathComponent()
        let besideResources = HaystackModel.modelDirectory.deletingLastPathComponent().deletingLastPathComponent()
        let candidates = [besideTests, besideResources].compactMap { $0?.appendingPathComponent("sample-attention").path }
        return candidates.first { FileManager.default.isExecutableFile(atPath: $0) } ?? "sample-attention is not among \(candidates)"
    }()

    /// Runs to the end. - Parameter timeout: seconds until it is killed and the test fails.
    static func run(_ arguments: [String], input: Data = Data(), timeout: Double = 60) throws -> Outcome {
        try RunningProgram(path, arguments, input: input).wait(timeout: timeout)
    }

    /// Runs `script` in a shell that finds the program as `$program`, for limits and redirections.
    static func shell(_ script: String) throws -> Outcome {
        try RunningProgram("/bin/sh", ["-c", script], environment: ["program": path]).wait(timeout: 60)
    }

    /// Runs and expects success. - Returns: standard output.
    @discardableResult
    static func output(_ arguments: [String], input: Data = Data(), location: SourceLocation = #_sourceLocation) throws -> String {
        let outcome = try run(arguments, input: input)
        try #require(outcome.exitCode == 0, "\(arguments): \(outcome.errors.prefix(1000))", sourceLocation: location)
        return outcome.output
    }

    /// Runs with --json and expects success and one object.
    static func json(_ arguments: [String], location: SourceLocation = #_sourceLocation) throws -> [String: Any] {
        let outcome = try run(arguments + ["--json"])
        try #require(outcome.exitCode == 0, "\(arguments): \(outcome.errors.prefix(1000))", sourceLocation: location)
        return try outcome.json()
    }
}

/// A number of a JSON object, which must be there.
func number(_ object: [String: Any], _ key: String) throws -> Double { try #require(object[key] as? Double, "\(key) of \(object)") }

/// A child process whose output goes to files, so that no full pipe can stall it.
final class RunningProgram {
    private let process = Process()
    private let scratch: Scratch
    private let ended = DispatchSemaphore(value: 0)
    private let start = ContinuousClock.now

    init(_ path: String, _ arguments: [String], input: Data = Data(), environment: [String: String] = [:]) throws {
        scratch = try Scratch()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.standardInput = try FileHandle(forReadingFrom: URL(fileURLWithPath: scratch.write(input, to: "input")))
        process.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: scratch.write("", to: "output")))
        process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: scratch.write("", to: "errors")))
        process.terminationHandler = { [ended] _ in ended.signal() }
        try process.run()
    }

    var isRunning: Bool { process.isRunning }

    func send(_ signal: Int32) { kill(process.processIdentifier, signal) }

    func wait(timeout: Double = 60) throws -> Program.Outcome {
        if ended.wait(timeout: .now() + timeout) == .timedOut {
            send(SIGKILL)
            ended.wait()
            Issue.record("\(process.arguments ?? []) took more than \(timeout) s and was killed")
        }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        let status = process.terminationStatus
        return Program.Outcome(
            exitCode: process.terminationReason == .uncaughtSignal ? 128 + status : status, output: try scratch.read("output"),
            errors: try scratch.read("errors"), seconds: seconds)
    }
}
