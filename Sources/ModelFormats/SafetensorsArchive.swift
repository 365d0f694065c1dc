import AttentionCore

/// A model's weights: one `model.safetensors`, or the shards that `model.safetensors.index.json` names.
public struct SafetensorsArchive: Sendable {
    /// The file that lists the tensors (the index, or the only weight file); errors about missing tensors name it.
    public let listing: String
    /// The weight files in the order of their names.
    public let files: [SafetensorsFile]

    /// For each tensor the file that holds it.
    private let owners: [ExactText: Int]

    private static let single = "model.safetensors"
    private static let index = "model.safetensors.index.json"

    /// Opens the weights in `directory` and checks every header. When both an index and a single file are there, the
    /// index counts.
    ///
    /// - Throws: `InputError`: `missingInput` when there are no weights or a shard is absent; `invalidData` when a file
    ///   breaks its format, or the index and the shards disagree.
    public init(directory: String) throws(InputError) {
        let indexPath = directory + "/" + Self.index
        do {
            let fields = try JSONFields(contentsOf: indexPath)
            self = try Self.sharded(index: fields, directory: directory)
            return
        } catch  where error.code == .missingInput && error.file == indexPath {
            // No index: the weights are in one file.
        }
        let file = try SafetensorsFile(directory + "/" + Self.single)
        let owners = Dictionary(uniqueKeysWithValues: file.tensors.map { (ExactText($0.name), 0) })
        self.init(listing: file.path, files: [file], owners: owners)
    }

    private init(listing: String, files: [SafetensorsFile], owners: [ExactText: Int]) {
        self.listing = listing
        self.files = files
        self.owners = owners
    }

    private static func sharded(index: JSONFields, directory: String) throws(InputError) -> SafetensorsArchive {
        guard let map = try index.fields("weight_map") else { throw index.error("weight_map", "is missing") }
        var shardOfTensor: [(tensor: String, shard: String)] = []
        for (tensor, shard) in map.object.members {
            guard let shard = shard.string, isPlainName(shard) else {
                throw InputError(
                    .invalidData, file: index.file, field: tensor, value: shard.summary,
                    rule: "must be the plain name of a file in the same directory")
            }
            shardOfTensor.append((tensor, shard))
        }
        let names = Set(shardOfTensor.map(\.shard)).sorted()
        var opened: [SafetensorsFile] = []
        for name in names { opened.append(try SafetensorsFile(directory + "/" + name)) }
        let positions = Dictionary(uniqueKeysWithValues: zip(names, opened.indices))
        var owners: [ExactText: Int] = [:]
        for (tensor, shard) in shardOfTensor {
            let position = positions[shard]!
            _ = try opened[position].tensor(tensor)
            owners[ExactText(tensor)] = position
        }
        return SafetensorsArchive(listing: index.file, files: opened, owners: owners)
    }

    private static func isPlainName(_ name: String) -> Bool {
        !name.isEmpty && name != "." && name != ".." && !name.utf8.contains { $0 == 0x2F || $0 == 0x5C || $0 == 0 }
    }

    /// True when the archive holds `name`.
    public func contains(_ name: String) -> Bool { owners[ExactText(name)] != nil }

    /// What the weights say about `name`.
    ///
    /// - Throws: `InputError` (`invalidData`) when the tensor is missing.
    public func tensor(_ name: String) throws(InputError) -> SafetensorsTensor {
        try owner(of: name).tensor(name)
    }

    /// - Throws: `InputError` (`invalidData`) when the tensor is missing or has another shape.
    public func check(_ name: String, shape: [Int]) throws(InputError) {
        _ = try owner(of: name).checked(name, shape: shape)
    }

    /// Converts `name` to Float, row-major, into `destination`, which has room for the product of `shape`.
    ///
    /// - Throws: `InputError`: `invalidData` when the tensor is missing, has another shape or holds NaN or infinity;
    ///   `unsupported` when it is not F32, F16 or BF16.
    public func read(
        _ name: String, shape: [Int], into destination: UnsafeMutablePointer<Float>
    ) throws(InputError) {
        try owner(of: name).read(name, shape: shape, into: destination)
    }

    /// The SHA-256 of the weight files' bytes, one after the other in the order of their names, in hexadecimal.
    ///
    /// - Complexity: reads every byte of the weights (about a second for a gigabyte) at each call: keep the answer.
    public func sha256() -> String { ModelFormats.sha256(of: files.map(\.file)) }

    private func owner(of name: String) throws(InputError) -> SafetensorsFile {
        guard let position = owners[ExactText(name)] else {
            throw InputError(.invalidData, file: listing, field: name, rule: "tensor is missing")
        }
        return files[position]
    }
}
