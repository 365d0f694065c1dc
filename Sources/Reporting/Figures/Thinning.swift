/// Fewer of many, evenly chosen.
enum Thinning {
    /// At most `most` of the places 0..<`count`, ascending, the first and last among them; the last alone when `most` is one,
    /// none when it is less.
    static func places(of count: Int, atMost most: Int) -> [Int] {
        guard count > most else { return Array(0..<count) }
        guard most > 1 else { return most == 1 ? [count - 1] : [] }
        return (0..<most).map { $0 * (count - 1) / (most - 1) }
    }

    /// The places 0..<`count` in at most `most` stretches of one length; only the last may be shorter.
    static func bands(of count: Int, atMost most: Int) -> [Range<Int>] {
        let length = max(1, (count + most - 1) / most)
        return stride(from: 0, to: count, by: length).map { $0..<min(count, $0 + length) }
    }
}
