import Foundation
import RunProvenance

/// One field on which two tuned configs disagree.
public struct ConfigDifference: Hashable, Sendable, Codable {
    /// Part of a config that a difference may lie in.
    public enum Part: String, Sendable, CaseIterable, Codable {
        case schemaVersion, model, provenance, denseBelow, defaults, buckets
    }

    public let part: Part
    /// The bucket's length, for differences in buckets.
    public let length: Int?
    /// The field's path, buckets by length, then layer and head: `buckets[4096][0][1].parameters.alpha`.
    public let field: String
    /// The values; nil where a config does not have the field.
    public let left, right: String?

    /// All differences, in the order of the parts, buckets by length, layers and heads; none when the configs are equal.
    ///
    /// The configs' fields are compared as their files hold them, so a field without meaning beside the others is none.
    /// Complexity: O(fields).
    public static func between(_ left: TunedConfig, _ right: TunedConfig) -> [ConfigDifference] {
        let (left, right) = (fields(left), fields(right))
        var walk = Walk()
        for part in Part.allCases where part != .buckets {
            walk.compare(left[part.rawValue], right[part.rawValue], at: Place(part: part, length: nil, field: part.rawValue))
        }
        let (leftBuckets, rightBuckets) = (buckets(left), buckets(right))
        for length in Set(leftBuckets.keys).union(rightBuckets.keys).sorted() {
            walk.compare(
                leftBuckets[length], rightBuckets[length], at: Place(part: .buckets, length: length, field: "buckets[\(length)]"))
        }
        return walk.differences
    }

    /// The config as its file holds it.
    private static func fields(_ config: TunedConfig) -> [String: Any] {
        // A config's own encoding is an object.
        try! JSONSerialization.jsonObject(with: config.encoded()) as! [String: Any]
    }

    private static func buckets(_ fields: [String: Any]) -> [Int: Any] {
        let buckets = fields["buckets"] as? [[String: Any]] ?? []
        return Dictionary(buckets.map { ($0["length"] as? Int ?? 0, $0["layers"] as Any) }) { first, _ in first }
    }
}

/// Where in a config a value stands.
private struct Place {
    let part: ConfigDifference.Part
    let length: Int?
    let field: String

    func member(_ name: String) -> Place { Place(part: part, length: length, field: "\(field).\(name)") }
    func element(_ index: Int) -> Place { Place(part: part, length: length, field: "\(field)[\(index)]") }
}

/// Two JSON values walked side by side.
private struct Walk {
    private(set) var differences: [ConfigDifference] = []

    mutating func compare(_ left: Any?, _ right: Any?, at place: Place) {
        if let left = left as? [String: Any], let right = right as? [String: Any] {
            for name in Set(left.keys).union(right.keys).sorted() { compare(left[name], right[name], at: place.member(name)) }
        } else if let left = left as? [Any], let right = right as? [Any] {
            for index in 0..<max(left.count, right.count) {
                compare(left.count > index ? left[index] : nil, right.count > index ? right[index] : nil, at: place.element(index))
            }
        } else {
            let texts = (left.map(Self.text), right.map(Self.text))
            guard texts.0 != texts.1 else { return }
            differences.append(
                ConfigDifference(part: place.part, length: place.length, field: place.field, left: texts.0, right: texts.1))
        }
    }

    private static func text(_ value: Any) -> String {
        switch value {
        case let members as [String: Any]: "an object of \(members.count)"
        case let values as [Any]: "a list of \(values.count)"
        default: "\(value)"
        }
    }
}
