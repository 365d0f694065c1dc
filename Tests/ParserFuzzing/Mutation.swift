import AttentionCore

/// Makes one input out of valid ones: by its seed, the same every time.
struct Mutation {
    private var random: SeededGenerator

    init(_ random: SeededGenerator) { self.random = random }

    /// One of `samples` with a few changes. - Parameter samples: of one format, at least one.
    mutating func input(from samples: [Sample]) -> [UInt8] {
        var sample = samples.randomElement(using: &random)!
        let other = samples.randomElement(using: &random)!
        if case .bytes(let bytes) = sample.frame { return changed(bytes, other.bytes()) }
        // Some inputs are only cut and flipped, which whole trees never are.
        if chance(0.85) {
            for _ in 0..<changes() where !sample.documents.isEmpty {
                let index = Int.random(in: sample.documents.indices, using: &random)
                change(&sample.documents[index], other.documents.randomElement(using: &random))
            }
            if chance(0.1) { changeOrder(&sample.documents) }
        }
        var bytes = sample.bytes(headerLengthError: chance(0.05) ? extremeLength() : nil)
        if chance(0.25) { for _ in 0..<changes() { change(&bytes, other.bytes()) } }
        return bytes
    }

    private mutating func chance(_ probability: Double) -> Bool { random.uniform() < probability }

    /// Mostly one, seldom many.
    private mutating func changes() -> Int {
        var count = 1
        while count < 12, chance(0.4) { count += 1 }
        return count
    }

    private mutating func extremeLength() -> UInt64 {
        [0, 1, 7, 8, .max, 1 << 63, 100_000_000, 100_000_001, UInt64.random(in: 0..<4096, using: &random)].randomElement(using: &random)!
    }
}

// MARK: - Documents and trees

extension Mutation {
    private mutating func changeOrder(_ documents: inout [JSONTree]) {
        guard let index = documents.indices.randomElement(using: &random) else { return }
        switch Int.random(in: 0..<3, using: &random) {
        case 0: documents.append(documents[index])
        case 1: documents.remove(at: index)
        default: documents.shuffle(using: &random)
        }
    }

    /// Walks down to a random node, a step deeper at each turn, and changes it.
    private mutating func change(_ tree: inout JSONTree, _ donor: JSONTree?) {
        let descends = chance(0.8)
        switch tree {
        case .object(var members) where descends && !members.isEmpty:
            let index = Int.random(in: members.indices, using: &random)
            if chance(0.7) { change(&members[index].value, donor) } else { change(memberAt: index, of: &members) }
            tree = .object(members)
        case .list(var elements) where descends && !elements.isEmpty:
            let index = Int.random(in: elements.indices, using: &random)
            if chance(0.7) { change(&elements[index], donor) } else { change(elementAt: index, of: &elements) }
            tree = .list(elements)
        default: tree = replacement(of: tree, donor)
        }
    }

    private mutating func change(memberAt index: Int, of members: inout [(name: String, value: JSONTree)]) {
        switch Int.random(in: 0..<5, using: &random) {
        case 0: members.append(members[index])
        case 1: members.remove(at: index)
        case 2: members[index].name += ["s", " ", "\u{301}", "\u{0}"].randomElement(using: &random)!
        case 3: members[index].name = members.randomElement(using: &random)!.name
        default: members[index].value = members.randomElement(using: &random)!.value
        }
    }

    private mutating func change(elementAt index: Int, of elements: inout [JSONTree]) {
        switch Int.random(in: 0..<5, using: &random) {
        case 0: elements.insert(elements[index], at: index)
        case 1: elements.remove(at: index)
        case 2: elements += Array(repeating: elements[index], count: Int.random(in: 1...50, using: &random))
        case 3: elements.shuffle(using: &random)
        default: elements[index] = elements.randomElement(using: &random)!
        }
    }

    private mutating func replacement(of tree: JSONTree, _ donor: JSONTree?) -> JSONTree {
        switch (tree, Int.random(in: 0..<8, using: &random)) {
        case (.raw(let text), 0...2): return .raw(nearby(text))
        case (.string(let text), 0...2): return .string(nearby(text))
        case (_, 3): return donor.map { part(of: $0) } ?? tree
        case (_, 4): return .list([tree])
        default: return JSONTree.extremes.randomElement(using: &random)!
        }
    }

    /// A random subtree.
    private mutating func part(of tree: JSONTree) -> JSONTree {
        guard chance(0.85) else { return tree }
        switch tree {
        case .object(let members): return members.randomElement(using: &random).map { part(of: $0.value) } ?? tree
        case .list(let elements): return elements.randomElement(using: &random).map { part(of: $0) } ?? tree
        case .raw, .string: return tree
        }
    }

    /// A number or a text close to the given one, which is where limits are passed by one.
    private mutating func nearby(_ text: String) -> String {
        if let value = Int(text) {
            let changed = [value &+ 1, value &- 1, 0 &- value, value &* 2, value / 2, value &* 1000, value << 31]
            return "\(changed.randomElement(using: &random)!)"
        }
        if let value = Double(text) {
            let changed = [value.nextUp, -value, value * 2, 1 + value, 1 - value, value * 1e30, 1 / value, value.rounded()]
            return "\(changed.randomElement(using: &random)!)"
        }
        let scalars = Array(text.unicodeScalars)
        guard let index = scalars.indices.randomElement(using: &random) else { return "a" }
        var changed = String.UnicodeScalarView()
        switch Int.random(in: 0..<4, using: &random) {
        case 0: changed += scalars[..<index]
        case 1: changed += scalars[..<index] + scalars[(index + 1)...]
        case 2: changed += scalars[..<index] + [Unicode.Scalar(UInt8.random(in: .min ... .max, using: &random))] + scalars[index...]
        default: for _ in 0..<Int.random(in: 2...20, using: &random) { changed += scalars }
        }
        return String(changed)
    }
}

// MARK: - Bytes

extension Mutation {
    /// Bytes that are no text, a few of them changed: some as integers, which is what counts and offsets are.
    private mutating func changed(_ bytes: [UInt8], _ donor: [UInt8]) -> [UInt8] {
        var changed = bytes
        for _ in 0..<changes() {
            if chance(0.5) { changeInteger(&changed) } else { change(&changed, donor) }
        }
        return changed
    }

    /// Changes 32 or 64 bits, most often near the beginning, where a header is.
    private mutating func changeInteger(_ bytes: inout [UInt8]) {
        let size = chance(0.5) ? 4 : 8
        guard bytes.count >= size else { return }
        let last = chance(0.7) ? min(bytes.count, 2048) : bytes.count
        let start = Int.random(in: 0...max(0, last - size), using: &random)
        let old = bytes[start..<start + size].reversed().reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
        let new = [old &+ 1, old &- 1, old &* 2, old << 32, 1 << 31, 1 << 62, extremeLength()].randomElement(using: &random)!
        for index in 0..<size { bytes[start + index] = UInt8(truncatingIfNeeded: new >> (8 * UInt64(index))) }
    }

    private mutating func change(_ bytes: inout [UInt8], _ donor: [UInt8]) {
        guard let index = bytes.indices.randomElement(using: &random) else { return }
        let end = min(bytes.count, index + 1 + Int.random(in: 0..<16, using: &random))
        switch Int.random(in: 0..<7, using: &random) {
        case 0: bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 1: bytes[index] = UInt8.random(in: .min ... .max, using: &random)
        case 2: bytes.removeSubrange(index...)
        case 3: bytes.removeSubrange(index..<end)
        case 4: bytes.insert(contentsOf: bytes[index..<end], at: index)
        case 5:
            bytes.insert(
                contentsOf: [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0], [0xEF, 0xBB, 0xBF]].randomElement(using: &random)!, at: index)
        default:
            let start = Int.random(in: 0...donor.count, using: &random)
            bytes.replaceSubrange(index..., with: donor[start...])
        }
    }
}
