import Reporting
import SampleAttention

extension ConfigDifference {
    package static func table(_ differences: [ConfigDifference]) -> TextTable {
        TextTable(
            columns: [.left("field"), .left("left"), .left("right")],
            rows: differences.map { [$0.field, $0.left ?? NumberFormat.missing, $0.right ?? NumberFormat.missing] })
    }

    package static func summary(_ differences: [ConfigDifference]) -> String {
        if differences.isEmpty { return "the configs are equal" }
        var places: [(name: String, count: Int)] = []
        for difference in differences {
            let name = difference.length.map { "\(NumberFormat.count($0)) tokens" } ?? difference.part.rawValue
            if places.last?.name == name { places[places.count - 1].count += 1 } else { places.append((name, 1)) }
        }
        let total = differences.count == 1 ? "1 field differs" : "\(differences.count) fields differ"
        return total + ": " + places.map { "\($0.name) \($0.count)" }.joined(separator: ", ")
    }
}
