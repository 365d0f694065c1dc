import AttentionCore
import DurableFiles
import HeadProfiling
import RunProvenance
import SampleAttention

/// What the lines of a profile's journal must hold before a profile is continued with them: a disk or an editor may have damaged
/// them, and whatever is read here ends up in results, or as an index.
struct ProfileRecordCheck {
    /// Masses are sums of FP32 probabilities, so they may pass 1 by their rounding.
    private static let masses = 0...1.0001

    let header: ProfileHeader
    let lengths: [Int]

    /// The first value of a record that cannot be; nil when a profile may have written it.
    func fault(of record: LayerProfile) -> RecordFault? {
        do throws(RecordFault) { try check(record) } catch { return error }
        return nil
    }

    private func require(_ holds: Bool, _ field: String, _ value: Any, _ rule: String) throws(RecordFault) {
        if !holds { throw RecordFault(field: field, value: "\(value)", rule: rule) }
    }

    private func require(_ values: [Double], in range: ClosedRange<Double>, _ field: String) throws(RecordFault) {
        for value in values { try require(range.contains(value), field, value, "must be from \(range.lowerBound) to \(range.upperBound)") }
    }

    private func require(_ values: [Float], in range: ClosedRange<Double>, _ field: String) throws(RecordFault) {
        try require(values.map(Double.init), in: range, field)
    }

    private func require(count: Int, of wanted: Int, _ field: String) throws(RecordFault) {
        try require(count == wanted, field, "\(count) values", "must be \(wanted)")
    }

    private func require(ascending values: [Int], in range: Range<Int>, _ field: String) throws(RecordFault) {
        for value in values {
            try require(range.contains(value), field, value, "must be from \(range.lowerBound) to \(range.upperBound - 1)")
        }
        try require(zip(values, values.dropFirst()).allSatisfy { $0 < $1 }, field, "\(values.count) values", "must ascend")
    }

    private func check(_ record: LayerProfile) throws(RecordFault) {
        let heads = header.model.queryHeads
        try require(header.textSHA256.contains(record.textSHA256), "textSHA256", record.textSHA256, "must be that of a text of line 1")
        try require(lengths.contains(record.length), "length", record.length, "must be one that was asked for")
        try require((0..<header.model.layers).contains(record.layer), "layer", record.layer, "must be below \(header.model.layers)")
        try require(record.seconds.isFinite && record.seconds >= 0, "seconds", record.seconds, "must not be negative")
        let counts: [(field: String, count: Int)] = [
            ("heads", record.heads.count), ("pictures", record.pictures.count), ("columns", record.columns.count),
            ("errors", record.errors.count), ("patterns", record.patterns.count),
        ]
        for (field, count) in counts { try require(count: count, of: heads, field) }
        for index in 0..<heads {
            let head = record.heads[index]
            try require(head.layer == record.layer, "heads[\(index)].layer", head.layer, "must be \(record.layer)")
            try require(head.head == index, "heads[\(index)].head", head.head, "must be \(index)")
            try check(head, length: record.length, "heads[\(index)]")
            try check(record.pictures[index], length: record.length, "pictures[\(index)]")
            try require(ascending: record.columns[index].map(Int.init), in: 0..<record.length, "columns[\(index)]")
            let error = record.errors[index]
            try require(
                [error.radius, error.diameter, error.bound, error.largest, error.mean], in: 0...Double.greatestFiniteMagnitude,
                "errors[\(index)]")
            try check(record.patterns[index], length: record.length, "patterns[\(index)]")
        }
        for overlap in [record.overlaps.withinGroup, record.overlaps.previousLayer, record.overlaps.otherPrompt].compactMap(\.self) {
            try require([overlap.jaccard, overlap.chance, overlap.ownMass, overlap.sharedMass], in: Self.masses, "overlaps")
            try require(overlap.pairs > 0, "overlaps.pairs", overlap.pairs, "must be positive")
        }
    }

    private func check(_ head: HeadProfile, length: Int, _ place: String) throws(RecordFault) {
        let alphas = header.scale.alphas.count
        let lists: [(field: String, count: Int, wanted: Int)] = [
            ("sparsityDegrees", head.sparsityDegrees.count, alphas), ("structured", head.structured.count, alphas),
            ("structuredMean", head.structuredMean.count, alphas), ("structureGaps", head.structureGaps.count, alphas),
            ("masses.sinks", head.masses.sinks.count, header.scale.sinks.count),
            ("masses.windows", head.masses.windows.count, header.scale.windows.count),
            ("masses.columns", head.masses.columns.count, header.scale.columns.count),
            ("masses.slashes", head.masses.slashes.count, header.scale.slashes.count),
        ]
        for (field, count, wanted) in lists { try require(count: count, of: wanted, "\(place).\(field)") }
        try require(head.sparsityDegrees, in: 0...1, "\(place).sparsityDegrees")
        try require(head.structureGaps, in: -1...1, "\(place).structureGaps")
        for choice in head.structured + head.structuredMean {
            let families = [choice.windowColumns, choice.columnsSlashes, choice.keyBlocks]
            try require(families.map(\.degree), in: 0...1, "\(place).structured")
        }
        let shares = head.masses.sinks + head.masses.windows + head.masses.columns + head.masses.slashes
        try require(shares, in: Self.masses, "\(place).masses")
        let retained = head.retained
        try require(
            [retained.mean, retained.minimum, retained.p1, retained.p5, retained.median], in: Self.masses, "\(place).retained")
        try require((0..<length).contains(retained.worstQuery), "\(place).retained.worstQuery", retained.worstQuery, "must be a query")
        try require([head.sampledMass as Double?].compactMap(\.self), in: Self.masses, "\(place).sampledMass")
        try require([head.density], in: 0...1, "\(place).density")
        try require((1...length).contains(head.window), "\(place).window", head.window, "must be from 1 to \(length)")
        try require((0...length).contains(head.columns), "\(place).columns", head.columns, "must be from 0 to \(length)")
        try check(head.curve, "\(place).curve")
        try check(head.keyBlockCurve, "\(place).keyBlockCurve")
    }

    private func check(_ curve: PatternCurve, _ place: String) throws(RecordFault) {
        let lists: [(field: String, values: [Double])] = [
            ("densities", curve.densities), ("meanMasses", curve.meanMasses), ("leastMasses", curve.leastMasses),
        ]
        for (field, values) in lists {
            try require(count: values.count, of: curve.lines.count, "\(place).\(field)")
            try require(values, in: Self.masses, "\(place).\(field)")
        }
        try require(ascending: curve.lines, in: 0..<Int.max, "\(place).lines")
    }

    private func check(_ picture: AttentionPicture, length: Int, _ place: String) throws(RecordFault) {
        let side = AttentionPicture.side(keyCount: length)
        try require(picture.side == side, "\(place).side", picture.side, "must be \(side)")
        let lists: [(field: String, values: [Float], wanted: Int)] = [
            ("mass", picture.mass, side * (side + 1) / 2), ("kept", picture.kept, side * (side + 1) / 2),
            ("importance", picture.importance, side), ("columns", picture.columns, side),
            ("cumulative", picture.cumulative, picture.columnCounts.count),
        ]
        for (field, values, wanted) in lists {
            try require(count: values.count, of: wanted, "\(place).\(field)")
            try require(values, in: Self.masses, "\(place).\(field)")
        }
        try require(ascending: picture.columnCounts, in: 0..<length + 1, "\(place).columnCounts")
    }

    private func check(_ pattern: HeadPattern, length: Int, _ place: String) throws(RecordFault) {
        try require([pattern.alpha, pattern.alphaSlashes].compactMap(\.self), in: 0...1, "\(place).alpha")
        let blocks = [pattern.blockColumns, pattern.slashes].compactMap(\.self)
        try require(blocks.allSatisfy { (0...length).contains($0) }, place, blocks, "must not be negative")
        let keyBlocks = [pattern.keyBlocks, pattern.keyBlockTokens].compactMap(\.self)
        // No query block keeps more than all keys.
        try require(
            keyBlocks.allSatisfy { (0...length * length).contains($0) }, "\(place).keyBlocks", keyBlocks, "must not be negative")
    }
}

extension ResultJournal where Header == ProfileHeader, Record == LayerProfile {
    /// Begins or continues the journal of a profile.
    ///
    /// - Parameter lengths: of the prompts, in tokens.
    /// - Throws: `InputError` as `init(path:header:resume:accept:)`, and with line and field for records that no profile wrote.
    public convenience init(profile path: String, header: ProfileHeader, lengths: [Int], resume: Bool) throws(InputError) {
        try self.init(path: path, header: header, resume: resume) { records throws(InputError) in
            let check = ProfileRecordCheck(header: header, lengths: lengths)
            try Self.require(records, path: path) { check.fault(of: $1) }
            return records.count
        }
    }
}
