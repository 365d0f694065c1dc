import AttentionCore
import ModelFormats

/// Which tensors of an archive a decoder reads, by what names they stand there, and which are left over.
struct TensorNames: Sendable {
    /// What names may have in the place of "model." and before others: where the decoder was saved alone, or as the text part of a model
    /// that reads images too.
    private static let prefixes: [(model: String, others: String)] = [
        ("model.", ""), ("", ""), ("language_model.model.", "language_model."), ("model.language_model.", ""),
    ]
    private static let modelPrefix = "model."

    let tensors: DecoderTensors
    /// True when the decoder has a matrix of its own for the scores.
    let hasHead: Bool
    private let layerCount: Int
    private let modelPart: String
    private let otherPart: String
    /// The tensors that are read, by their usual names.
    let all: [String]

    init(_ archive: any TensorArchive, tensors: DecoderTensors, description: DecoderDescription) {
        self.tensors = tensors
        layerCount = description.layerCount
        func rename(_ name: String, _ prefix: (model: String, others: String)) -> String {
            name.hasPrefix(Self.modelPrefix) ? prefix.model + name.dropFirst(Self.modelPrefix.count) : prefix.others + name
        }
        // Where the embedding is by no name, the usual one is missed.
        let prefix = Self.prefixes.first { archive.contains(rename(tensors.embedding, $0)) } ?? Self.prefixes[0]
        (modelPart, otherPart) = (prefix.model, prefix.others)
        // A head that the file has counts even where the configuration says that it is the embedding; where it is, it is a copy that
        // other programs do not save.
        let head = rename(tensors.head, prefix)
        hasHead =
            !description.head.isTied
            || archive.contains(head) && !archive.haveEqualContents(head, rename(tensors.embedding, prefix))
        var names: Set = [tensors.embedding, tensors.finalNorm]
        if hasHead { names.insert(tensors.head) }
        for index in description.layers.indices { names.formUnion(tensors.layer(index).slices.map(\.name)) }
        all = names.sorted()
    }

    /// A tensor's name in the archive.
    func own(_ name: String) -> String {
        name.hasPrefix(Self.modelPrefix) ? modelPart + name.dropFirst(Self.modelPrefix.count) : otherPart + name
    }

    /// Tensors that are not read: those of the decoder that is run, which would change what it computes, and others, such as a vision
    /// tower's or those of layers that it does not have. Tables that follow from the configuration are in neither list.
    func leftOver(in archive: any TensorArchive) -> (inDecoder: [String], elsewhere: [String]) {
        // A head that is not read is a copy of the embedding.
        let read = Set((all + [tensors.head]).map(own))
        let rest = archive.names.filter { name in !read.contains(name) && !tensors.buffers.contains(where: name.hasSuffix) }.sorted()
        let layers = own(tensors.layerPrefix)
        // Of the tensors around the layers: the first words of their names, or the names less their last.
        let root = own(tensors.embedding).prefix { $0 != "." } + "."
        let stems = [tensors.embedding, tensors.finalNorm, tensors.head].map { own($0).dropLast("weight".count) }
        func isInDecoder(_ name: String) -> Bool {
            if name.hasPrefix(layers) {
                guard let index = Int(name.dropFirst(layers.count).prefix { $0 != "." }) else { return true }
                return (0..<layerCount).contains(index)
            }
            return stems.contains(where: name.hasPrefix) || modelPart == root && name.hasPrefix(root)
        }
        return (rest.filter(isInDecoder), rest.filter { !isInDecoder($0) })
    }
}
