import ArgumentParser
import Reporting
import SampleAttention
import StudyReports

/// `config diff`: on which fields do two configs disagree?
struct ConfigDiffCommand: JSONPrinting {
    static let configuration = CommandConfiguration(
        commandName: "diff", abstract: "Compare two configs field by field, buckets by length; exit code 0 when equal, 1 when not.")

    @Argument(help: "A config file.")
    var left: String

    @Argument(help: "Another one.")
    var right: String

    @Flag(help: "Print the result as one JSON object on standard output.")
    var json = false

    func run() throws {
        let differences = try ConfigDifference.between(TunedConfig(contentsOf: left), TunedConfig(contentsOf: right))
        if json {
            JSONOutput.print(Result(left: left, right: right, equal: differences.isEmpty, differences: differences))
        } else {
            if !differences.isEmpty { print(ConfigDifference.table(differences).text()) }
            print(ConfigDifference.summary(differences))
        }
        if !differences.isEmpty { throw ExitCode(1) }
    }

    private struct Result: Encodable {
        let left, right: String
        let equal: Bool
        let differences: [ConfigDifference]
    }
}
