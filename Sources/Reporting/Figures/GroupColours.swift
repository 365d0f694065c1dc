/// The colours of groups, such as layers: hues from blue to red in the order in which the groups first occur.
struct GroupColours {
    /// What those without a group are called beside others that have one.
    private static let rest = "other"
    /// A legend names no more groups than this; the colours of those between lie between.
    private static let mostNamed = 12

    let names: [String]
    private let numbers: [String: Int]

    /// The groups of a figure's series or points; nil when none of them has a group.
    init?(_ groups: [String?]) {
        guard groups.contains(where: { $0 != nil }) else { return nil }
        var numbers: [String: Int] = [:]
        var names: [String] = []
        for name in groups.map({ $0 ?? Self.rest }) where numbers[name] == nil {
            numbers[name] = names.count
            names.append(name)
        }
        self.names = names
        self.numbers = numbers
    }

    /// Each group's members, in the groups' order and their own.
    func members<Member>(_ all: [Member], of group: (Member) -> String?) -> [(name: String, members: [Member])] {
        let lists = Dictionary(grouping: all) { group($0) ?? Self.rest }
        return names.map { ($0, lists[$0] ?? []) }
    }

    /// The attributes that give an element, and all it holds, a group's colour in light and dark.
    func attributes(_ name: String) -> String {
        let share = names.count > 1 ? Double(numbers[name] ?? 0) / Double(names.count - 1) : 0
        // Contrast with the page: at least 4 in light, 7 in dark.
        let light = ColourScale.hue(at: share, lightness: 0.56).hex
        let dark = ColourScale.hue(at: share, lightness: 0.78).hex
        return " class=\"group\" style=\"--light:\(light);--dark:\(dark)\""
    }

    /// The groups' entries in a legend. What all names begin with, such as "layer", is said once.
    var legendItems: [String] {
        let items = Thinning.places(of: names.count, atMost: Self.mostNamed).map { place in
            """
            <li\(attributes(names[place]))><svg width="10" height="14" aria-hidden="true">\
            <circle class="point" cx="5" cy="7" r="5"/></svg>\(HTMLText.escaped(names[place].dropFirst(sharedStart.count)))</li>

            """
        }
        return (sharedStart.isEmpty ? [] : ["<li>\(HTMLText.escaped(sharedStart.dropLast()))</li>\n"]) + items
    }

    /// The words that all names begin with, and the space after them.
    private var sharedStart: Substring {
        guard names.count > 1, let first = names.min(), let last = names.max() else { return "" }
        let shared = zip(first, last).prefix { $0 == $1 }.map(\.0)
        return first.prefix((shared.lastIndex(of: " ") ?? -1) + 1)
    }
}
