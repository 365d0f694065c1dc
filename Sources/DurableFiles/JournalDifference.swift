import Foundation

/// A field of a header on which a file and the work at hand disagree.
public struct JournalDifference: Hashable, Sendable {
    public let field, own, others: String

    public init(field: String, own: String, others: String) {
        self.field = field
        self.own = own
        self.others = others
    }

    /// The first of some fields whose two values differ.
    public static func first(of fields: [(field: String, own: String, others: String)]) -> JournalDifference? {
        fields.first { $0.own != $0.others }.map { JournalDifference(field: $0.field, own: $0.own, others: $0.others) }
    }

    /// The first member, by name, on which two values differ as JSON; its field is `prefix` and the name.
    ///
    /// - Precondition: both values encode as objects of finite numbers.
    public static func first<Value: Encodable>(
        ofMembers own: Value, _ others: Value, named prefix: String = "", except passedOver: Set<String> = []
    ) -> JournalDifference? {
        let (own, others) = (members(own), members(others))
        let names = Set(own.keys).union(others.keys).subtracting(passedOver).sorted()
        return first(of: names.map { (prefix + $0, own[$0] ?? "none", others[$0] ?? "none") })
    }

    /// Each member's name and its value as canonical JSON.
    private static func members(_ value: some Encodable) -> [String: String] {
        let object = try! JSONSerialization.jsonObject(with: JSONEncoder().encode(value)) as! [String: Any]
        return object.mapValues { member in
            let data = try! JSONSerialization.data(
                withJSONObject: member, options: [.sortedKeys, .fragmentsAllowed, .withoutEscapingSlashes])
            return String(decoding: data, as: UTF8.self)
        }
    }
}
