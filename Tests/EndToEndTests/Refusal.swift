import AttentionTestSupport
import Foundation
import Testing

/// The exit codes of `sysexits.h` that the program promises, and their names in JSON.
enum Refusal: Int32 {
    case usage = 64
    case invalidData = 65
    case missingInput = 66
    case unsupported = 69
    case systemFailure = 71
    case cannotCreate = 73
    case inputOutput = 74
    case configuration = 78
}

/// Expects the program to refuse: its exit code, one line that begins with "error: " and holds every one of `parts`, the
/// same as an object with --json, and `scratch` left as it was.
func expect(
    _ refusal: Refusal, naming parts: [String], leaving scratch: Scratch? = nil, input: Data = Data(),
    location: SourceLocation = #_sourceLocation, _ arguments: [String]
) throws {
    let before = try scratch?.snapshot()
    let plain = try Program.run(arguments, input: input)
    #expect(plain.exitCode == refusal.rawValue, "\(plain.errors.prefix(1000))", sourceLocation: location)
    #expect(plain.output.isEmpty, sourceLocation: location)
    let lines = plain.errors.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines.count == 2 && lines.last == "", "one line: \(plain.errors.prefix(1000))", sourceLocation: location)
    #expect(plain.errors.hasPrefix("error: "), "\(plain.errors.prefix(1000))", sourceLocation: location)
    for part in parts { #expect(plain.errors.contains(part), "\(part) is not in \(plain.errors.prefix(1000))", sourceLocation: location) }

    let json = try Program.run(arguments + ["--json"], input: input)
    #expect(json.exitCode == refusal.rawValue, "\(json.errors.prefix(1000))", sourceLocation: location)
    #expect(json.errors.isEmpty, "\(json.errors.prefix(1000))", sourceLocation: location)
    let error = try #require(json.json()["error"] as? [String: String], sourceLocation: location)
    #expect(error["code"] == "\(refusal)", sourceLocation: location)
    #expect(error["message"].map { "error: \($0)\n" } == plain.errors, sourceLocation: location)
    if let before, let scratch { #expect(try scratch.snapshot() == before, "files were left over", sourceLocation: location) }
}
