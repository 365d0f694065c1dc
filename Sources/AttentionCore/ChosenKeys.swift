/// The keys chosen for the rows of one query block, in units of 16 tokens, whatever the lengths of the blocks they were chosen in.
public struct ChosenKeys: Hashable, Sendable {
    /// Tokens of a unit: the shortest block, which divides every other.
    public static let unitTokens = 16

    /// Unit u is the keys 16 · u ..< 16 · (u + 1); strictly ascending.
    public let units: [Int32]

    init(units: [Int32]) { self.units = units }

    /// Keys of all units.
    public var count: Int { units.count * Self.unitTokens }
    public var isEmpty: Bool { units.isEmpty }

    /// The key at a place of their ascending order. O(1).
    public func key(at place: Int) -> Int { Int(units[place / Self.unitTokens]) * Self.unitTokens + place % Self.unitTokens }

    /// The number of chosen keys below `key`. O(log units).
    public func count(below key: Int) -> Int {
        guard key > 0 else { return 0 }
        let unit = units.count(below: key / Self.unitTokens)
        let whole = unit * Self.unitTokens
        return unit < units.count && Int(units[unit]) == key / Self.unitTokens ? whole + key % Self.unitTokens : whole
    }

    /// O(log units).
    public func contains(_ key: Int) -> Bool { units.containsIndex(key / Self.unitTokens) }

    /// The keys as ranges of positions: units that follow each other are one. O(units).
    public var ranges: [Range<Int>] {
        units.map(Int.init).runs.map { $0.lowerBound * Self.unitTokens..<$0.upperBound * Self.unitTokens }
    }
}

/// What the lists of some `WindowKeyBlocks` come to: a list of units for each query block of 64 rows.
struct ChosenBlocks: Hashable, Sendable {
    private let firstQueryBlock: Int
    private let lists: [[Int32]]

    private init(firstQueryBlock: Int, lists: [[Int32]]) {
        self.firstQueryBlock = firstQueryBlock
        self.lists = lists
    }

    /// Units that stand after all of the query block's rows, or are sinks altogether, are left out. Nil when nothing is left.
    init?(_ pattern: WindowKeyBlocks) {
        let units = pattern.blockTokens / ChosenKeys.unitTokens
        let inSinks = pattern.sinks / ChosenKeys.unitTokens
        let lists = pattern.queryBlocks.map { queryBlock -> [Int32] in
            let end = (queryBlock + 1) * WindowKeyBlocks.queryBlockRows / ChosenKeys.unitTokens
            var list: [Int32] = []
            for first in pattern.keyBlocks(queryBlock: queryBlock).lazy.map({ Int($0) * units }) {
                for unit in first..<first + units where unit >= inSinks && unit < end { list.append(Int32(unit)) }
            }
            return list
        }
        if lists.allSatisfy(\.isEmpty) { return nil }
        self.init(firstQueryBlock: pattern.firstQueryBlock, lists: lists)
    }

    /// What any of several keep; nil when there are none. O(n log n) in the lengths of the lists.
    static func merging(_ members: [ChosenBlocks]) -> ChosenBlocks? {
        guard let first = members.map(\.queryBlocks.lowerBound).min(), let end = members.map(\.queryBlocks.upperBound).max() else {
            return nil
        }
        return ChosenBlocks(
            firstQueryBlock: first, lists: (first..<end).map { queryBlock in .merging(members.map { $0.units(queryBlock: queryBlock) }) })
    }

    var queryBlocks: Range<Int> { firstQueryBlock..<firstQueryBlock + lists.count }

    /// None outside the lists. O(1).
    func units(queryBlock: Int) -> [Int32] { queryBlocks.contains(queryBlock) ? lists[queryBlock - firstQueryBlock] : [] }
}
