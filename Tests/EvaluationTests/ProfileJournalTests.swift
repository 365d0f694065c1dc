import AttentionCore
import AttentionKernels
import AttentionTestSupport
import DurableFiles
import Evaluation
import Foundation
import HeadProfiling
import LanguageModels
import ModelFormats
import Parallelism
import RunProvenance
import SampleAttention
import Testing

/// A profile is continued with what its journal holds, so that must be what a profile wrote.
@Suite struct ProfileJournalTests {
    private let scratch: Scratch
    private let path: String
    private let header: ProfileHeader
    private let records: [LayerProfile]

    /// A journal of two layers of two heads: stripes in the first layer's first head, block lines in its second.
    init() throws {
        var shape = TinyModel.Shape()
        shape.layers = 2
        let tiny = try TinyModel(Scratch(), shape: shape)
        scratch = tiny.scratch
        path = tiny.scratch.file("journal.jsonl")
        let model = try LanguageModel.load(from: tiny.path, kernel: AttentionKernel(pool: WorkerPool(threads: 2)))
        let scale = ProfileScale(alphas: [try Fraction(0.9), try Fraction(0.95)])
        header = ProfileHeader(
            model: try model.identity(), textSHA256: ["aa"], attention: "sample", scale: scale, instructionSet: "any", precision: "fp32")
        var lines = SampleAttentionParameters.standard
        lines.pattern = .columnSlash
        let profiler = ModelProfiler(policy: .fixed(lines, name: "lines"), scale: scale)
        let journal = try ProfileJournal(profile: path, header: header, lengths: [300], resume: false)
        let tokens = [256] + (0..<299).map { Int32($0 * $0 % 97) }
        records = try profiler.profile(
            PromptLayers(tokens, of: .init(name: "t", sha256: "aa"), model: model), work: WorkExecutor(journal: journal) { LayerItem($0) }
        ).layers
    }

    private func reopen() throws -> [LayerProfile] {
        try ProfileJournal(profile: path, header: header, lengths: [300], resume: true).recorded
    }

    @Test func whatAProfileWroteIsAccepted() throws {
        #expect(records.count == 2 && records.allSatisfy { $0.patterns.allSatisfy { $0.kind == .columnSlash && $0.blockColumns != nil } })
        #expect(try reopen() == records)
    }

    struct Damage: Sendable, CustomTestStringConvertible {
        let place: [String]
        /// JSON; nil removes the last element of a list.
        let value: String?
        let field: String
        var testDescription: String { place.joined(separator: ".") + " = \(value ?? "one less")" }
    }

    static let damages = [
        Damage(place: ["layer"], value: "2", field: "layer"), Damage(place: ["layer"], value: "-1", field: "layer"),
        Damage(place: ["length"], value: "9223372036854775807", field: "length"),
        Damage(place: ["textSHA256"], value: "\"bb\"", field: "textSHA256"),
        Damage(place: ["heads"], value: nil, field: "heads"), Damage(place: ["pictures"], value: nil, field: "pictures"),
        Damage(place: ["columns"], value: nil, field: "columns"), Damage(place: ["errors"], value: nil, field: "errors"),
        Damage(place: ["patterns"], value: nil, field: "patterns"),
        Damage(place: ["heads", "1", "head"], value: "0", field: "heads[1].head"),
        Damage(place: ["heads", "1", "layer"], value: "0", field: "heads[1].layer"),
        Damage(place: ["heads", "0", "sparsityDegrees"], value: nil, field: "heads[0].sparsityDegrees"),
        Damage(place: ["heads", "0", "structured"], value: nil, field: "heads[0].structured"),
        Damage(place: ["heads", "0", "structuredMean"], value: nil, field: "heads[0].structuredMean"),
        Damage(place: ["heads", "0", "structured", "1", "keyBlocks", "degree"], value: "1.5", field: "heads[0].structured"),
        Damage(place: ["heads", "0", "structureGaps"], value: nil, field: "heads[0].structureGaps"),
        Damage(place: ["heads", "0", "masses", "windows"], value: nil, field: "heads[0].masses.windows"),
        Damage(place: ["heads", "0", "masses", "slashes", "0"], value: "7", field: "heads[0].masses"),
        Damage(place: ["heads", "0", "retained", "mean"], value: "-0.5", field: "heads[0].retained"),
        Damage(place: ["heads", "0", "retained", "min"], value: "1.5", field: "heads[0].retained"),
        Damage(place: ["heads", "0", "retained", "worstQuery"], value: "300", field: "heads[0].retained.worstQuery"),
        Damage(place: ["heads", "0", "sampledMass"], value: "2", field: "heads[0].sampledMass"),
        Damage(place: ["heads", "0", "density"], value: "2", field: "heads[0].density"),
        Damage(place: ["heads", "0", "window"], value: "301", field: "heads[0].window"),
        Damage(place: ["heads", "0", "columns"], value: "301", field: "heads[0].columns"),
        Damage(place: ["heads", "0", "curve", "densities"], value: nil, field: "heads[0].curve.densities"),
        Damage(place: ["heads", "0", "keyBlockCurve", "meanMasses"], value: nil, field: "heads[0].keyBlockCurve.meanMasses"),
        Damage(place: ["heads", "0", "keyBlockCurve", "lines"], value: "[1]", field: "heads[0].keyBlockCurve.densities"),
        Damage(place: ["pictures", "1", "side"], value: "96", field: "pictures[1].side"),
        Damage(place: ["pictures", "1", "mass"], value: nil, field: "pictures[1].mass"),
        Damage(place: ["pictures", "1", "kept", "0"], value: "-1", field: "pictures[1].kept"),
        Damage(place: ["pictures", "1", "importance"], value: nil, field: "pictures[1].importance"),
        Damage(place: ["pictures", "1", "cumulative"], value: nil, field: "pictures[1].cumulative"),
        Damage(place: ["columns", "0"], value: "[3, 300]", field: "columns[0]"),
        Damage(place: ["columns", "0"], value: "[3, 3]", field: "columns[0]"),
        Damage(place: ["columns", "0"], value: "[-1]", field: "columns[0]"),
        Damage(place: ["errors", "1", "largest"], value: "-1", field: "errors[1]"),
        Damage(place: ["patterns", "0", "alpha"], value: "2", field: "patterns[0].alpha"),
        Damage(place: ["patterns", "0", "slashes"], value: "-1", field: "patterns[0]"),
    ]

    @Test(arguments: damages) func damageIsRefusedByLineAndField(_ damage: Damage) throws {
        var lines = try scratch.read("journal.jsonl").split(separator: "\n").map(String.init)
        let record = try JSONSerialization.jsonObject(with: Data(lines[2].utf8))
        let value = try damage.value.map { try JSONSerialization.jsonObject(with: Data($0.utf8), options: .fragmentsAllowed) }
        let broken = try JSONSerialization.data(withJSONObject: Self.replaced(record, at: damage.place[...], with: value))
        lines[2] = String(decoding: broken, as: UTF8.self)
        try scratch.write(lines.joined(separator: "\n") + "\n", to: "journal.jsonl")
        let error = try #require(throws: InputError.self) { try reopen() }
        #expect(error.file == path && error.field == "line 3, \(damage.field)", "\(error)")
    }

    private static func replaced(_ object: Any, at place: ArraySlice<String>, with value: Any?) throws -> Any {
        guard let key = place.first else {
            if let value { return value }
            return Array(try #require(object as? [Any]).dropLast())
        }
        if var list = object as? [Any], let index = Int(key) {
            list[index] = try replaced(list[index], at: place.dropFirst(), with: value)
            return list
        }
        var fields = try #require(object as? [String: Any])
        fields[key] = try replaced(try #require(fields[key]), at: place.dropFirst(), with: value)
        return fields
    }
}
