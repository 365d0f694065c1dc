import AttentionCore

/// The keys that one row block of a plan goes over, strip by strip and tile by tile: what `RowBlockRun` runs and `KernelWork` counts.
///
/// Every row keeps four kinds of keys, each at most once: its window, of which the block's own positions are a strip of their own;
/// the gathered columns; the key blocks of its query block of 128 rows; and those chosen for its query block of 64 rows. All are left to
/// the window where it reaches them, chosen blocks to the other key blocks, and columns to both.
package struct RowBlockTiles {
    let parts: PatternParts
    let isDense: Bool
    /// Positions each row sees back from itself.
    let window: Int
    /// The first key of the window's strip is a multiple of it.
    private let alignment: Int
    /// The positions of each lane block's rows.
    package let lanes: [Range<Int>]
    /// What each lane block's rows keep of chosen key blocks, where there are any.
    private let chosen: [ChosenKeys]

    /// The most tiles of which a row may keep some keys and not all: one of its own block's, two at the ends of the window, one each
    /// at the end of the columns, of the key blocks and of the chosen ones; and one to spare.
    package static let mostPartialTiles = 7

    /// - Parameter alignment: where strips of keys that are packed in groups may begin.
    package init(_ block: AttentionPlan.RowBlock, parts: PatternParts, shape: AttentionShape, alignment: Int = 1) {
        self.parts = parts
        self.alignment = alignment
        isDense = block.isDense
        window = block.isDense ? shape.keyCount : parts.window
        let first = shape.firstPosition + block.firstRow
        let end = first + block.rows
        lanes = stride(from: first, to: end, by: KernelTable.lanes).map { $0..<min($0 + KernelTable.lanes, end) }
        chosen =
            block.isDense || !parts.hasChosenBlocks
            ? [] : lanes.map { parts.chosenKeys(queryBlock: $0.lowerBound / WindowKeyBlocks.queryBlockRows) }
    }

    package enum Kind { case own, window, columns, keyBlocks, chosenBlocks }

    /// Keys next to each other in memory that lane blocks go over together.
    package struct Strip {
        package let kind: Kind
        /// Positions; of columns and chosen keys, places in their list.
        package let keys: Range<Int>
        /// Which lane blocks go over it.
        package let lanes: Range<Int>
        /// What each of them sees.
        package let views: [View]

        /// Visits the tiles of which any lane block sees something, as indices into the strip.
        @inline(__always)
        package func forEachTile(_ body: (_ tile: Range<Int>) -> Void) {
            for start in stride(from: 0, to: keys.count, by: KernelTable.tileKeys) {
                let tile = start..<min(start + KernelTable.tileKeys, keys.count)
                if views.contains(where: { !tile.clamped(to: $0.seen).isEmpty }) { body(tile) }
            }
        }
    }

    /// What some rows see of a strip, as indices into it: they keep nothing outside `seen`, and all of them keep `whole`.
    package struct View {
        package let seen, whole: Range<Int>

        /// How much of a tile the rows keep.
        package enum Coverage { case none, some, all }

        @inline(__always)
        package func coverage(of tile: Range<Int>) -> Coverage {
            if whole.lowerBound <= tile.lowerBound && tile.upperBound <= whole.upperBound { return .all }
            return tile.clamped(to: seen).isEmpty ? .none : .some
        }
    }

    // MARK: Strips

    /// Visits the strips in the order they are worked on. The keys at the block's own positions come first, because then every lane has
    /// seen a key.
    package func forEachStrip(_ body: (Strip) -> Void) {
        for (index, lane) in lanes.enumerated() { body(strip(.own, lane, lanes: index..<index + 1)) }
        let first = lanes[0].lowerBound
        body(strip(.window, max(0, first - window + 1) / alignment * alignment..<lanes.last!.lowerBound, lanes: lanes.indices))
        guard !isDense else { return }
        if !parts.columns.isEmpty { visit(.columns, 0..<parts.columns.count, body) }
        if parts.hasBlocks {
            let size = BlockMask.blockSize
            for run in parts.keyBlocks(queryBlock: first / size).map(Int.init).runs {
                visit(.keyBlocks, run.lowerBound * size..<run.upperBound * size, body)
            }
        }
        for index in chosen.indices where chosenCount(index) > 0 {
            body(strip(.chosenBlocks, 0..<chosenCount(index), lanes: index..<index + 1))
        }
    }

    /// The keys chosen for a lane block.
    func chosenKeys(_ lane: Int) -> ChosenKeys { chosen[lane] }

    /// How many of them its last row keeps outside the window, the others fewer; 0 past the last lane block.
    func chosenCount(_ lane: Int) -> Int { lane < chosen.count ? chosen[lane].count(below: lanes[lane].upperBound - window) : 0 }

    /// True when a lane block's key blocks, of either kind, hold a column.
    func holdColumn(_ column: Int, lane: Int) -> Bool {
        if parts.hasBlocks {
            let size = BlockMask.blockSize
            if parts.keepsBlock(query: lanes[lane].lowerBound / size, key: column / size) { return true }
        }
        return lane < chosen.count && chosen[lane].contains(column)
    }

    /// A strip of the keys up to the last that any lane block sees, if there is one.
    private func visit(_ kind: Kind, _ keys: Range<Int>, _ body: (Strip) -> Void) {
        let views = lanes.map { view(of: $0, in: $0, kind, keys) }
        let most = views.reduce(0) { max($0, $1.seen.upperBound) }
        guard most > 0 else { return }
        body(Strip(kind: kind, keys: keys.lowerBound..<keys.lowerBound + most, lanes: lanes.indices, views: views))
    }

    private func strip(_ kind: Kind, _ keys: Range<Int>, lanes range: Range<Int>) -> Strip {
        Strip(kind: kind, keys: keys, lanes: range, views: lanes[range].map { view(of: $0, in: $0, kind, keys) })
    }

    // MARK: Views

    /// What some neighbouring rows of a lane block see of a strip.
    package func view(of rows: Range<Int>, in lane: Range<Int>, _ strip: Strip) -> View { view(of: rows, in: lane, strip.kind, strip.keys) }

    private func view(of rows: Range<Int>, in lane: Range<Int>, _ kind: Kind, _ keys: Range<Int>) -> View {
        switch kind {
        case .own: ownView(of: rows, in: lane)
        case .window: windowView(of: rows, in: lane, from: keys.lowerBound)
        case .columns: columnView(of: rows, in: lane)
        case .keyBlocks: keyBlockView(of: rows, in: lane, keys)
        case .chosenBlocks: chosenView(of: rows, in: lane)
        }
    }

    /// In a key block (the diagonal one always is) rows see all of their block's own keys up to themselves, whatever the window.
    var seesOwnKeys: Bool { parts.hasBlocks && !isDense }

    /// Masked throughout: no row sees the keys after it.
    private func ownView(of rows: Range<Int>, in lane: Range<Int>) -> View {
        let first = seesOwnKeys ? lane.lowerBound : max(lane.lowerBound, rows.lowerBound - window + 1)
        return View(seen: first - lane.lowerBound..<rows.upperBound - lane.lowerBound, whole: 0..<0)
    }

    private func windowView(of rows: Range<Int>, in lane: Range<Int>, from start: Int) -> View {
        let first = min(lane.lowerBound, max(0, rows.lowerBound - window + 1))
        let whole = max(first, min(lane.lowerBound, rows.upperBound - window))
        return View(seen: first - start..<lane.lowerBound - start, whole: whole - start..<lane.lowerBound - start)
    }

    /// Column c is left to the window in rows that see it there: kept by rows from c + window on. Beside key blocks any may be left out.
    private func columnView(of rows: Range<Int>, in lane: Range<Int>) -> View {
        let hasBlocks = parts.hasBlocks || !chosen.isEmpty && !chosen[index(of: lane)].isEmpty
        let whole = hasBlocks ? 0 : parts.columns.count(below: rows.lowerBound - window + 1)
        return View(seen: 0..<parts.columns.count(below: rows.upperBound - window), whole: 0..<whole)
    }

    /// Keys of kept blocks before the lane block's own positions, again without what the window holds.
    private func keyBlockView(of rows: Range<Int>, in lane: Range<Int>, _ keys: Range<Int>) -> View {
        let end = max(keys.lowerBound, min(keys.upperBound, min(lane.lowerBound, rows.upperBound - window)))
        let whole = max(0, min(end, rows.lowerBound - window + 1) - keys.lowerBound)
        return View(seen: 0..<end - keys.lowerBound, whole: 0..<whole)
    }

    /// Chosen key t is left to the window too: kept by rows from t + window on.
    private func chosenView(of rows: Range<Int>, in lane: Range<Int>) -> View {
        let keys = chosen[index(of: lane)]
        return View(seen: 0..<keys.count(below: rows.upperBound - window), whole: 0..<keys.count(below: rows.lowerBound - window + 1))
    }

    private func index(of lane: Range<Int>) -> Int { (lane.lowerBound - lanes[0].lowerBound) / KernelTable.lanes }
}
