import AttentionCore
import Foundation

/// The files of one model: a single file, or the parts NAME-00001-of-00005.gguf and so on that a large one was split into.
///
/// Source: llama.cpp's gguf-split, which writes the keys `split.no` (from 0), `split.count` and `split.tensors.count`.
struct GGUFParts {
    private static let (number, count, tensors) = ("split.no", "split.count", "split.tensors.count")

    /// In the order of their numbers; the first has the model's metadata.
    let files: [GGUFFile]

    /// Opens the file at `path`, and where it is a part, all the others beside it.
    ///
    /// - Throws: `InputError`: `missingInput`, naming the part, when one is absent; `invalidData` when the parts are not of one model;
    ///   otherwise as `GGUFFile.init(_:)`.
    init(_ path: String) throws(InputError) {
        let file = try GGUFFile(path)
        let count = try file.metadata.integer(Self.count, in: 0...Int(UInt16.max), default: 1)
        guard count > 1 else {
            files = [file]
            return
        }
        guard let stem = Self.stem(path, number: try Self.number(of: file, count: count), count: count) else {
            throw file.metadata.error(
                Self.number, "a part of a split model must be named NAME-00001-of-0000N.gguf by its number, which counts from 1 there")
        }
        var files: [GGUFFile] = []
        for number in 0..<count {
            files.append(try Self.part(stem + Self.ending(number: number, count: count), number: number, count: count))
        }
        self.files = files
        try checkAreWhole()
    }

    private static func part(_ path: String, number: Int, count: Int) throws(InputError) -> GGUFFile {
        guard FileManager.default.fileExists(atPath: path) else {
            throw InputError(.missingInput, file: path, rule: "there is no such file, and the model is split into \(count) parts")
        }
        let file = try GGUFFile(path)
        guard try file.metadata.integer(Self.count, in: 0...Int(UInt16.max)) == count else {
            throw file.metadata.error(Self.count, "must be \(count), as in the other parts")
        }
        guard try Self.number(of: file, count: count) == number else {
            throw file.metadata.error(Self.number, "must be \(number), as the file's name says")
        }
        return file
    }

    private static func number(of file: GGUFFile, count: Int) throws(InputError) -> Int {
        try file.metadata.integer(number, in: 0...count - 1)
    }

    private func checkAreWhole() throws(InputError) {
        var names: Set<ExactText> = []
        for file in files {
            for tensor in file.tensors where !names.insert(ExactText(tensor.name)).inserted {
                throw InputError(.invalidData, file: file.path, field: tensor.name, rule: "the tensor stands in another part too")
            }
        }
        let metadata = files[0].metadata
        guard try metadata.integer(Self.tensors, in: 0...Int.max, default: names.count) == names.count else {
            throw metadata.error(Self.tensors, "must be the number of tensors in all parts, \(names.count)")
        }
    }

    /// What comes before the ending, or nil when the path has another.
    private static func stem(_ path: String, number: Int, count: Int) -> String? {
        let ending = ending(number: number, count: count)
        return path.hasSuffix(ending) ? String(path.dropLast(ending.count)) : nil
    }

    private static func ending(number: Int, count: Int) -> String {
        func digits(_ value: Int) -> String { String(repeating: "0", count: max(0, 5 - String(value).count)) + String(value) }
        return "-\(digits(number + 1))-of-\(digits(count)).gguf"
    }
}
