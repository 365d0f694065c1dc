import AttentionCore
import Foundation

/// The tensors of a GGUF model, one file or several parts, under the names, with the extents and in the order of rows that they have on the
/// Hugging Face hub: what the conversion to GGUF has done to them is undone as they are read.
public struct GGUFArchive: TensorArchive {
    /// The first of the files.
    public var listing: String { files[0].path }
    /// The parts in the order of their numbers.
    public let files: [GGUFFile]

    let architecture: GGUFArchitecture
    let heads: GGUFHeads
    private let entries: [ExactText: Entry]

    private struct Entry {
        let file: GGUFFile
        let tensor: GGUFTensor
        let change: GGUFTensorChange
    }

    /// The model's metadata.
    package var metadata: GGUFMetadata { files[0].metadata }

    /// Opens the file at `path`, and where it is a part of a split model, all its parts, and checks every header.
    ///
    /// - Throws: `InputError`: `missingInput` when a file or a part is absent; `unsupported` for an architecture that is not known;
    ///   `invalidData` when a file breaks its format, or the parts do not belong together.
    public init(_ path: String) throws(InputError) {
        files = try GGUFParts(path).files
        architecture = try GGUFArchitecture.named(in: files[0].metadata)
        heads = try GGUFHeads(files[0].metadata, architecture: architecture.name)
        var entries: [ExactText: Entry] = [:]
        for file in files {
            for tensor in file.tensors {
                guard let name = architecture.hubName(tensor.name) else { continue }
                let change = architecture.change(of: tensor.name, heads: heads)
                let rows = tensor.shape.count == 1 ? tensor.rowLength : tensor.rowCount
                guard change.canPermute(rows) else {
                    throw InputError(
                        .invalidData, file: file.path, field: tensor.name, value: "\(tensor.shape)",
                        rule: "must have an even number of rows for each of \(change.permutedHeads ?? 0) heads")
                }
                guard entries.updateValue(Entry(file: file, tensor: tensor, change: change), forKey: ExactText(name)) == nil else {
                    throw InputError(.invalidData, file: file.path, field: tensor.name, rule: "another tensor is the model's \(name) too")
                }
            }
        }
        self.entries = entries
    }

    public var names: [String] { entries.keys.map(\.text) }

    public func contains(_ name: String) -> Bool { entries[ExactText(name)] != nil }

    public func shape(of name: String) throws(InputError) -> [Int] { try entry(name).tensor.shape }

    /// How a tensor's numbers are stored.
    ///
    /// - Throws: `InputError` (`invalidData`) when the tensor is missing.
    public func type(of name: String) throws(InputError) -> GGMLType { try entry(name).tensor.type }

    public func read(_ name: String, rows: Range<Int>, into destination: UnsafeMutablePointer<Float>) throws(InputError) {
        let entry = try entry(name)
        let tensor = entry.tensor
        if entry.change.permutedHeads == nil {
            try entry.file.read(tensor, rows: rows, into: destination)
        } else if tensor.shape.count == 1 {
            try checkHas(rows, entry)
            if !rows.isEmpty { try readPermutedVector(entry, into: destination) }
        } else {
            try checkHas(rows, entry)
            for (index, row) in rows.enumerated() {
                let stored = entry.change.storedRow(row, of: tensor.rowCount)
                try entry.file.read(tensor, rows: stored..<stored + 1, into: destination + index * tensor.rowLength)
            }
        }
        guard entry.change.offset != 0 else { return }
        for index in 0..<rows.count * tensor.rowLength { destination[index] -= entry.change.offset }
    }

    private func readPermutedVector(_ entry: Entry, into destination: UnsafeMutablePointer<Float>) throws(InputError) {
        // Only of a type that can be read is the length held against the file.
        _ = try entry.file.content(of: entry.tensor)
        let count = entry.tensor.rowLength
        let stored = UnsafeMutablePointer<Float>.allocate(capacity: count)
        defer { stored.deallocate() }
        try entry.file.read(entry.tensor, rows: 0..<1, into: stored)
        for index in 0..<count { destination[index] = stored[entry.change.storedRow(index, of: count)] }
    }

    private func checkHas(_ rows: Range<Int>, _ entry: Entry) throws(InputError) {
        guard rows.lowerBound >= 0, rows.upperBound <= entry.tensor.rowCount else {
            throw InputError(
                .invalidData, file: entry.file.path, field: entry.tensor.name, value: "\(entry.tensor.shape)",
                rule: "must have \(rows.upperBound) rows")
        }
    }

    public func haveEqualContents(_ first: String, _ second: String) -> Bool {
        guard let (a, b) = try? (entry(first), entry(second)), a.tensor.type == b.tensor.type, a.tensor.shape == b.tensor.shape,
            a.change == b.change, let ((_, left), (_, right)) = try? (a.file.content(of: a.tensor), b.file.content(of: b.tensor))
        else { return false }
        return left.count == right.count && (left.isEmpty || memcmp(left.baseAddress!, right.baseAddress!, left.count) == 0)
    }

    public func release(_ name: String) {
        guard let entry = try? entry(name), let (_, data) = try? entry.file.content(of: entry.tensor) else { return }
        entry.file.file.release(data)
    }

    /// - Throws: `InputError`: `invalidData` when a tensor is missing; `unsupported` when one is of a type that cannot be read.
    public func sha256(of names: [(canonical: String, own: String)]) throws(InputError) -> String {
        var digest = Digest()
        for (canonical, own) in names.sorted(by: { $0.canonical.utf8.lexicographicallyPrecedes($1.canonical.utf8) }) {
            let entry = try entry(own)
            let (format, data) = try entry.file.content(of: entry.tensor)
            digest.add("\(canonical) \(format.name) \(entry.tensor.shape.map(String.init).joined(separator: "x"))\n")
            digest.add(data)
            entry.file.file.release(data)
        }
        return digest.hexadecimal()
    }

    private func entry(_ name: String) throws(InputError) -> Entry {
        guard let entry = entries[ExactText(name)] else {
            throw InputError(.invalidData, file: listing, field: name, rule: "tensor is missing")
        }
        return entry
    }

    /// The numbers of a vector that the configuration takes in, or nil when the file has none of that name.
    func factors(_ name: String) throws(InputError) -> [Float]? {
        guard let file = files.first(where: { $0.contains(name) }) else { return nil }
        let tensor = try file.tensor(name)
        guard tensor.shape.count == 1, tensor.rowLength <= ModelLimit.headDimension else {
            throw InputError(
                .invalidData, file: file.path, field: name, value: "\(tensor.shape)",
                rule: "must be a vector of at most \(ModelLimit.headDimension)")
        }
        var values = [Float](repeating: 0, count: tensor.rowLength)
        try values.withUnsafeMutableBufferPointer { buffer throws(InputError) in
            guard let base = buffer.baseAddress else { return }
            try file.read(tensor, rows: 0..<1, into: base)
        }
        return values
    }
}
