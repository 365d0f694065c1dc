/// Lists of positions or blocks, strictly ascending, as patterns hold them.
extension [Int32] {
    /// True when the list is strictly ascending and holds no negative number.
    var isAscendingIndices: Bool {
        (first ?? 0) >= 0 && zip(self, dropFirst()).allSatisfy { $0 < $1 }
    }

    /// The number of entries below `index`. O(log count).
    package func count(below index: Int) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if Int(self[middle]) < index { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// O(log count).
    func containsIndex(_ index: Int) -> Bool {
        let place = count(below: index)
        return place < count && Int(self[place]) == index
    }

    /// The entries of all lists, each once. O(n log n), near O(n) because the lists are sorted runs.
    static func merging(_ lists: [[Int32]]) -> [Int32] {
        if lists.count == 1 { return lists[0] }
        var merged: [Int32] = []
        for index in lists.joined().sorted() where merged.last != index { merged.append(index) }
        return merged
    }
}

extension [Int] {
    /// The numbers as ranges: neighbours that follow each other are one. O(count).
    package var runs: [Range<Int>] {
        var runs: [Range<Int>] = []
        for number in self {
            if let last = runs.last, last.upperBound == number {
                runs[runs.count - 1] = last.lowerBound..<number + 1
            } else {
                runs.append(number..<number + 1)
            }
        }
        return runs
    }
}
