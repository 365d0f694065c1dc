import ArgumentParser
import AttentionCore
import Foundation
import ProcessGroups

/// The program: parses, runs one command, and turns every failure into one line and an exit code.
@main
struct SampleAttentionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sample-attention",
        abstract: "Profile, tune, verify and run adaptive structured sparse attention for long prompts.",
        discussion: """
            Every command works on the bundled model and texts until --model and --text name others. With --json the result is \
            one JSON object on standard output; progress and messages go to standard error.
            """,
        version: ToolVersion.text,
        subcommands: [
            ProfileCommand.self, AuditCommand.self, SensitivityCommand.self, CalibrateCommand.self, TuneCommand.self, SearchCommand.self,
            VerifyCommand.self,
            GenerateCommand.self,
        ] + servers + [
            EvaluateCommand.self, CompareCommand.self,
            TasksCommand.self, CaptureCommand.self, ConfigCommand.self, EstimateCommand.self, BenchCommand.self,
        ])

    /// None in a build without the trait `Server`.
    private static var servers: [any ParsableCommand.Type] {
        #if Server
            [ServeCommand.self]
        #else
            []
        #endif
    }

    static func main() {
        StandardStreams.reserveClosed()
        let arguments = CommandLineArguments(CommandLine.arguments.dropFirst())
        var printsJSON = arguments.asksForJSON
        do {
            try CommandLineArguments.checkEncoding()
            try Ranks.start()
            try checkCommand(arguments.words.first)
            var command = try parseAsRoot(arguments.words)
            printsJSON = (command as? any JSONPrinting)?.json ?? false
            try Ranks.check(command)
            try command.run()
            Ranks.group.finish()
        } catch {
            Failure(error, printsJSON: printsJSON).exit()
        }
    }
}

extension SampleAttentionCommand {
    /// - Throws: `InputError` (`usage`) for a command that there is not; the parser would speak of whatever follows it.
    private static func checkCommand(_ word: String?) throws(InputError) {
        let known = configuration.subcommands.compactMap { $0.configuration.commandName }
        guard let word, !word.hasPrefix("-"), word != "help", !known.contains(word) else { return }
        throw InputError(.usage, field: "command", value: word, rule: "must be one of \(known.joined(separator: ", "))")
    }
}

/// An error on its way out of the program.
private struct Failure {
    private let error: any Error
    private let printsJSON: Bool

    init(_ error: any Error, printsJSON: Bool) {
        self.error = error
        self.printsJSON = printsJSON
    }

    /// Prints one line (with --json an object on standard output) and exits: 64…78 as in sysexits.h, 1 for a failed check.
    func exit() -> Never {
        let code = SampleAttentionCommand.exitCode(for: error)
        // Help, version, and a command that has already said what it found.
        if code == .success || error is ExitCode {
            Ranks.group.finish()
            if !Ranks.group.isRoot { Foundation.exit(code.rawValue) }
            SampleAttentionCommand.exit(withError: error)
        }
        let (failure, isCommon) = Ranks.settled(inputError(code), isCommon: error is CommonFailure)
        if printsJSON {
            JSONOutput.print(["error": ["code": failure.code.rawValue, "message": failure.message]])
        } else {
            Message.write("error: \(failure.message)")
        }
        if !isCommon { Ranks.group.abort(failure.code.exitCode) }
        Ranks.group.finish()
        Foundation.exit(failure.code.exitCode)
    }

    /// The parser's own text would add the usage, several lines of it, so only its message is kept.
    private func inputError(_ code: ExitCode) -> InputError {
        if let error = error as? InputError { return error }
        if let error = error as? CommonFailure { return error.error }
        return code == .validationFailure
            ? InputError(.usage, rule: SampleAttentionCommand.message(for: error))
            : InputError(.internalFailure, rule: String(describing: error))
    }
}

extension InputError {
    /// One line, with the option that helps where there is one.
    fileprivate var message: String { namingOptions.description + (remedy.map { " (\($0.option))" } ?? "") }

    /// What is no file's field may be a parameter of a library, such as `maxTokens`, whose option has the same words in another spelling.
    private var namingOptions: InputError {
        guard file == nil, let field, field.allSatisfy({ $0.isLetter || $0.isNumber }) else { return self }
        let option = field.reduce(into: "") { $0 += $1.isUppercase ? "-" + $1.lowercased() : String($1) }
        return InputError(code, field: option, value: value, rule: rule, remedy: remedy)
    }
}

extension InputError.Remedy {
    fileprivate var option: String {
        switch self {
        case .continueJournal: "--resume continues it"
        case .anotherFolder: "--output names the folder"
        case .ignoreExtraTensors: "--ignore-extra-tensors leaves it out"
        }
    }
}
