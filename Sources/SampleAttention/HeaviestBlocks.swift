/// The blocks with the largest scores of those offered, in room of the caller's.
///
/// A binary heap with the lightest on top, of one whole number a block that orders as score and block do: a block lighter than all of them
/// costs one comparison. O(blocks + kept · log kept · log blocks) for blocks in random order.
package struct HeaviestBlocks {
    private let heap: UnsafeMutablePointer<UInt64>
    private let capacity: Int
    private var count = 0

    /// - Parameter room: a place for each block that may be kept; its content is no matter.
    package init(room: UnsafeMutablePointer<UInt64>, capacity: Int) {
        heap = room
        self.capacity = capacity
    }

    /// Keeps a block if it is among the heaviest so far; of equal scores the lower block. −∞ and what is no number are passed over.
    package mutating func offer(score: Float, block: Int) {
        guard score > -.infinity, capacity > 0 else { return }
        let rank = Self.rank(score, block)
        if count < capacity {
            heap[count] = rank
            count += 1
            rise(count - 1)
        } else if rank > heap[0] {
            heap[0] = rank
            sink(below: count)
        }
    }

    /// Writes the blocks, heaviest first, and `filler` in the places that are left. Nothing is kept afterwards.
    package mutating func drain(into output: UnsafeMutablePointer<Int32>, filler: Int32) {
        for place in count..<max(count, capacity) { output[place] = filler }
        while count > 0 {
            count -= 1
            output[count] = Self.block(heap[0])
            heap[0] = heap[count]
            sink(below: count)
        }
    }

    /// Orders as the score does, and among equal ones against the block.
    private static func rank(_ score: Float, _ block: Int) -> UInt64 {
        // Both zeros are one score.
        let bits = (score + 0).bitPattern
        let ascending = bits >> 31 == 1 ? ~bits : bits | 1 << 31
        return UInt64(ascending) << 32 | UInt64(~UInt32(block))
    }

    private static func block(_ rank: UInt64) -> Int32 { Int32(~UInt32(truncatingIfNeeded: rank)) }

    private func rise(_ start: Int) {
        var place = start
        while place > 0, heap[(place - 1) / 2] > heap[place] {
            swap(place, (place - 1) / 2)
            place = (place - 1) / 2
        }
    }

    private func sink(below end: Int) {
        var place = 0
        while 2 * place + 1 < end {
            var child = 2 * place + 1
            if child + 1 < end, heap[child + 1] < heap[child] { child += 1 }
            if heap[place] <= heap[child] { return }
            swap(place, child)
            place = child
        }
    }

    private func swap(_ a: Int, _ b: Int) { (heap[a], heap[b]) = (heap[b], heap[a]) }
}
