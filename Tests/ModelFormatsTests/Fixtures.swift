import AttentionCore
import Foundation
import Testing

/// A folder that lives as long as the object.
final class TemporaryDirectory {
    let path = FileManager.default.temporaryDirectory.path + "/model-formats-\(UUID().uuidString)"

    init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    @discardableResult
    func write(_ bytes: some Sequence<UInt8>, to name: String) throws -> String {
        let file = path + "/" + name
        try Data(bytes).write(to: URL(fileURLWithPath: file))
        return file
    }

    @discardableResult
    func write(_ text: String, to name: String) throws -> String { try write(text.utf8, to: name) }
}

/// The bytes of a safetensors file with the given header and data.
func safetensors(_ header: String, data: [UInt8] = []) -> [UInt8] {
    littleEndian(UInt64(header.utf8.count)) + Array(header.utf8) + data
}

func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }

/// A safetensors file of one tensor "w".
func oneTensor(_ type: String, shape: [Int], data: [UInt8]) -> [UInt8] {
    safetensors(#"{"w":{"dtype":"\#(type)","shape":\#(shape),"data_offsets":[0,\#(data.count)]}}"#, data: data)
}

/// Expects `body` to throw an `InputError` with these parts (nil: any) whose description is one line.
func expectError(
    _ code: InputError.Code, field: String? = nil, value: String? = nil, rule: String? = nil, file: String? = nil,
    location: SourceLocation = #_sourceLocation, _ body: () throws -> Void
) {
    let error = #expect(throws: InputError.self, sourceLocation: location) { try body() }
    guard let error else { return }
    let text = error.description
    #expect(error.code == code, "\(text)", sourceLocation: location)
    if let field { #expect(error.field == field, "\(text)", sourceLocation: location) }
    if let value { #expect(error.value == value, "\(text)", sourceLocation: location) }
    if let rule { #expect(error.rule.contains(rule), "\(text)", sourceLocation: location) }
    if let file { #expect(error.file == file, "\(text)", sourceLocation: location) }
    #expect(error.file != nil && !text.contains("\n"), "\(text)", sourceLocation: location)
}
