import AttentionTestSupport
import Foundation
import Testing

/// A child process whose output goes to files, so that no full pipe can stall it.
///
/// `wait` blocks one of the threads that tests run on, of which there are as many as cores, and so are programs at a time.
/// Foundation's `Process` would do, but it keeps what it opened and on Linux now and then misses an end.
final class RunningProgram {
    /// Seconds after which a program is taken to hang: far more than any of these runs takes on any machine, however busy.
    private static let hang = 600.0
    /// Microseconds between two looks at a program.
    private static let pause: UInt32 = 2000

    private let arguments: [String]
    private let scratch: Scratch
    private let identifier: pid_t
    private let deadline = ContinuousClock.now + .seconds(RunningProgram.hang)
    /// As `waitpid` gives it, once the program has ended.
    private var status: Int32?

    init(_ path: String, _ arguments: [String], input: Data = Data(), environment: [String: String] = [:]) throws {
        self.arguments = arguments
        scratch = try Scratch()
        try scratch.write(input, to: "input")
        identifier = try Self.spawn(
            [path] + arguments,
            // What a slow run says of its progress is nobody's subject here.
            environment: ProcessInfo.processInfo.environment.merging(environment) { $1 }.merging(["SAMPLE_ATTENTION_PROGRESS": "off"]) {
                $1
            },
            files: [(scratch.file("input"), O_RDONLY), (scratch.file("output"), O_WRONLY), (scratch.file("errors"), O_WRONLY)])
    }

    /// Runs `script` in a shell that finds the program as `$program`, for limits and redirections.
    convenience init(shell script: String) throws {
        try self.init("/bin/sh", ["-c", script], environment: ["program": Program.path])
    }

    /// Nothing that a failed test started outlives it.
    deinit {
        guard isRunning else { return }
        send(SIGKILL)
        while isRunning { usleep(Self.pause) }
    }

    /// - Parameter files: opened as standard input, output and error.
    private static func spawn(_ command: [String], environment: [String: String], files: [(path: String, mode: Int32)]) throws -> pid_t {
        #if canImport(Darwin)
            var (actions, attributes): (posix_spawn_file_actions_t?, posix_spawnattr_t?)
        #else
            var (actions, attributes) = (posix_spawn_file_actions_t(), posix_spawnattr_t())
        #endif
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        for (descriptor, file) in files.enumerated() {
            posix_spawn_file_actions_addopen(&actions, Int32(descriptor), file.path, file.mode | O_CREAT, 0o600)
        }
        // Threads of Dispatch block most signals, and shells let what runs in the background ignore some: neither is to be inherited.
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        for signal in [SIGINT, SIGTERM, SIGQUIT] { sigaddset(&signals, signal) }
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        var arguments = command.map { strdup($0) } + [nil]
        var variables = environment.map { strdup("\($0)=\($1)") } + [nil]
        defer { for text in arguments + variables { free(text) } }
        var identifier: pid_t = 0
        let failure = posix_spawn(&identifier, command[0], &actions, &attributes, &arguments, &variables)
        try #require(failure == 0, "\(command[0]): \(String(cString: strerror(failure)))")
        return identifier
    }

    private var isRunning: Bool {
        var found: Int32 = 0
        if status == nil, waitpid(identifier, &found, WNOHANG) == identifier { status = found }
        return status == nil
    }

    /// What it has written to standard output so far.
    var output: String { (try? scratch.read("output")) ?? "" }

    func send(_ signal: Int32) { if status == nil { kill(identifier, signal) } }

    /// True once the program has a handler for the signal.
    func catches(_ signal: Int32) -> Bool {
        let status = (try? String(contentsOfFile: "/proc/\(identifier)/status", encoding: .utf8)) ?? ""
        guard let mask = status.firstMatch(of: /SigCgt:\s*([0-9a-f]+)/) else { return false }
        return UInt64(mask.1, radix: 16).map { $0 >> UInt64(signal - 1) & 1 == 1 } ?? false
    }

    /// Waits for `condition`. - Returns: true when it holds and the program still runs.
    func runs(until condition: () -> Bool) -> Bool {
        while isRunning, !condition(), ContinuousClock.now < deadline { usleep(Self.pause) }
        return isRunning && condition()
    }

    func wait() throws -> Program.Outcome {
        while isRunning, ContinuousClock.now < deadline { usleep(Self.pause) }
        if isRunning {
            send(SIGKILL)
            while isRunning { usleep(Self.pause) }
            Issue.record("\(arguments) took more than \(Self.hang) s and was killed")
        }
        // The low seven bits are the signal that ended it, and the next byte is its exit code otherwise.
        let status = try #require(status)
        return Program.Outcome(
            exitCode: status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + status & 0x7F, output: try scratch.read("output"),
            errors: try scratch.read("errors"))
    }
}
