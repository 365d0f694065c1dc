import AttentionCore
import Foundation

/// A model's weights: one `model.safetensors`, or else the shards that `model.safetensors.index.json` names.
public struct SafetensorsArchive: TensorArchive {
    /// The file that lists the tensors: the index, or the only weight file.
    public let listing: String
    /// The weight files in the order of their names.
    public let files: [SafetensorsFile]

    /// For each tensor the file that holds it.
    private let owners: [ExactText: Int]

    private static let single = "model.safetensors"
    private static let index = "model.safetensors.index.json"

    /// Opens the weights in `directory` and checks every header. Where both are there the single file counts, as in transformers: an
    /// index beside it is what an earlier way of saving has left.
    ///
    /// - Throws: `InputError`: `missingInput` when there are no weights or a shard is absent; `unsupported` when there are others than
    ///   safetensors only; `invalidData` when a file breaks its format, or the index and the shards disagree.
    public init(directory: String) throws(InputError) {
        let (single, index) = (directory + "/" + Self.single, directory + "/" + Self.index)
        if !FileManager.default.fileExists(atPath: single) {
            do {
                self = try Self.sharded(index: JSONFields(contentsOf: index), directory: directory)
                return
            } catch  where error.code == .missingInput && error.file == index {
                try Self.checkForOtherFormats(directory)
            }
        }
        let file = try SafetensorsFile(single)
        let owners = Dictionary(uniqueKeysWithValues: file.tensors.map { (ExactText($0.name), 0) })
        self.init(listing: file.path, files: [file], owners: owners)
    }

    private static func names(in directory: String) -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: directory).sorted()) ?? []
    }

    /// - Throws: `InputError` (`unsupported`) where a GGUF file stands in a folder that lacks what a model's folder has.
    static func checkForGGUF(_ directory: String) throws(InputError) {
        guard let name = names(in: directory).first(where: { $0.lowercased().hasSuffix(".gguf") }) else { return }
        throw InputError(
            .unsupported, file: directory + "/" + name, rule: "of a GGUF model the file itself must be given, not its folder")
    }

    /// People who have a model's weights in another form are told so.
    private static func checkForOtherFormats(_ directory: String) throws(InputError) {
        try checkForGGUF(directory)
        let names = names(in: directory)
        for name in names where [".bin", ".pt", ".pth", ".h5", ".msgpack", ".onnx"].contains(where: name.hasSuffix) {
            throw InputError(
                .unsupported, file: directory + "/" + name, rule: "weights must be \(single), or shards with \(Self.index), in the folder")
        }
        if let name = names.first(where: { $0 == "adapter_model.safetensors" }) {
            throw InputError(
                .unsupported, file: directory + "/" + name, rule: "an adapter alone is no model: merge it into its base model first")
        }
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

    public func shape(of name: String) throws(InputError) -> [Int] { try tensor(name).shape }

    /// Errors about the tensor name the file that holds it.
    public func check(_ name: String, shape: [Int]) throws(InputError) {
        _ = try owner(of: name).checked(name, shape: shape)
    }

    public func read(_ name: String, rows: Range<Int>, into destination: UnsafeMutablePointer<Float>) throws(InputError) {
        try owner(of: name).read(name, rows: rows, into: destination)
    }

    public func release(_ name: String) {
        guard let file = try? owner(of: name), let tensor = try? file.tensor(name) else { return }
        file.file.release(file.data(of: tensor))
    }

    public func haveEqualContents(_ first: String, _ second: String) -> Bool {
        guard let (a, b) = try? (owner(of: first), owner(of: second)), let (x, y) = try? (a.tensor(first), b.tensor(second)),
            x.typeName == y.typeName, x.shape == y.shape
        else { return false }
        let (left, right) = (a.data(of: x), b.data(of: y))
        return left.count == right.count && (left.isEmpty || memcmp(left.baseAddress!, right.baseAddress!, left.count) == 0)
    }

    public var names: [String] { owners.keys.map(\.text) }

    public func sha256(of names: [(canonical: String, own: String)]) throws(InputError) -> String {
        var digest = Digest()
        for (canonical, own) in names.sorted(by: { $0.canonical.utf8.lexicographicallyPrecedes($1.canonical.utf8) }) {
            let file = try owner(of: own)
            let tensor = try file.tensor(own)
            digest.add("\(canonical) \(tensor.typeName) \(tensor.shape.map(String.init).joined(separator: "x"))\n")
            digest.add(file.data(of: tensor))
            file.file.release(file.data(of: tensor))
        }
        return digest.hexadecimal()
    }

    private func owner(of name: String) throws(InputError) -> SafetensorsFile {
        guard let position = owners[ExactText(name)] else {
            throw InputError(.invalidData, file: listing, field: name, rule: "tensor is missing")
        }
        return files[position]
    }
}
