import AttentionTestSupport
import Foundation
import HaystackModel
import Testing

/// The built program, run as its users run it.
enum Program {
    /// False under a sanitizer, which takes more addresses than a test may want to leave, and under ThreadSanitizer a file of shadow
    /// memory too: tests that limit addresses or the size of files are left out there.
    static let mayBeLimited = ProcessInfo.processInfo.environment["SAMPLE_ATTENTION_SANITIZER"] == nil

    /// What a finished run left behind.
    struct Outcome {
        /// 0…255, or 128 + the signal that ended it, as a shell would say.
        let exitCode: Int32
        let output, errors: String

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

    /// Runs to the end.
    static func run(_ arguments: [String], input: Data = Data()) throws -> Outcome {
        try start(arguments, input: input).wait()
    }

    /// Runs on, for tests that stop it.
    static func start(_ arguments: [String], input: Data = Data()) throws -> RunningProgram {
        try RunningProgram(path, inFP32(arguments), input: input)
    }

    private static let computing: Set = [
        "profile", "audit", "sensitivity", "calibrate", "tune", "search", "verify", "generate", "serve", "evaluate", "compare", "capture",
        "bench",
    ]

    /// Results are held against those of FP32, whichever precision this machine multiplies faster.
    private static func inFP32(_ arguments: [String]) -> [String] {
        guard let command = arguments.first, computing.contains(command), !arguments.contains("--precision") else { return arguments }
        let names = command == "bench" ? 2 : 1
        return arguments.prefix(names) + ["--precision", "fp32"] + arguments.dropFirst(names)
    }

    /// Arguments for a script, in FP32 as all others.
    static func quoted(_ arguments: [String]) -> String { inFP32(arguments).map { "'\($0)'" }.joined(separator: " ") }

    /// Runs `script` in a shell that finds the program as `$program`, for limits and redirections.
    static func shell(_ script: String) throws -> Outcome {
        try RunningProgram(shell: script).wait()
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
