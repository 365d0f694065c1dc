import ArgumentParser
import Reporting
import SampleAttention

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
            if !differences.isEmpty { print(Self.table(differences).text()) }
            print(Self.summary(differences))
        }
        if !differences.isEmpty { throw ExitCode(1) }
    }

    private static func table(_ differences: [ConfigDifference]) -> TextTable {
        TextTable(
            columns: [.left("field"), .left("left"), .left("right")],
            rows: differences.map { [$0.field, $0.left ?? NumberFormat.missing, $0.right ?? NumberFormat.missing] })
    }

    private static func summary(_ differences: [ConfigDifference]) -> String {
        if differences.isEmpty { return "the configs are equal" }
        var places: [(name: String, count: Int)] = []
        for difference in differences {
            let name = difference.length.map { "\(NumberFormat.count($0)) tokens" } ?? difference.part.rawValue
            if places.last?.name == name { places[places.count - 1].count += 1 } else { places.append((name, 1)) }
        }
        let total = differences.count == 1 ? "1 field differs" : "\(differences.count) fields differ"
        return total + ": " + places.map { "\($0.name) \($0.count)" }.joined(separator: ", ")
    }

    private struct Result: Encodable {
        let left, right: String
        let equal: Bool
        let differences: [ConfigDifference]
    }
}
