import Foundation
import ModelFormats

/// All numbers of a tensor, row-major.
func numbers(_ name: String, in archive: some TensorArchive) throws -> [Float] {
    let shape = try archive.shape(of: name)
    var values = [Float](repeating: .nan, count: shape.reduce(1, *))
    try archive.read(name, shape: shape, into: &values)
    return values
}

func goldenFolder() -> URL { Bundle.module.url(forResource: "golden", withExtension: nil)!.appending(path: "gguf") }
