import AttentionTestSupport
import Foundation
import Testing

/// Tuned config files: whole ones are accepted, broken ones refused by name.
@Suite struct ConfigTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let parts: [String]
        let damage: @Sendable (String) -> String

        init(_ name: String, _ parts: [String], _ damage: @escaping @Sendable (String) -> String) {
            testDescription = name
            self.parts = parts
            self.damage = damage
        }

        /// Replaces the first `old`, which must be there.
        static func replacing(_ old: String, by new: String) -> @Sendable (String) -> String {
            { text in
                guard let range = text.range(of: old) else { return "\(old) is not in the config" }
                return text.replacingCharacters(in: range, with: new)
            }
        }

        /// Replaces the first number after the `field`.
        static func setting(_ field: String, to value: String) -> @Sendable (String) -> String {
            { text in
                guard let range = text.range(of: "\"\(field)\" : [0-9.]+", options: .regularExpression) else { return "no \(field)" }
                return text.replacingCharacters(in: range, with: "\"\(field)\" : \(value)")
            }
        }
    }

    private static let alpha = "buckets[0].layers[0][0].parameters.alpha"

    static let cases: [Case] = [
        Case("weights of another model", ["model", "deadbeefdead", "must be for the loaded model"]) { text in
            text.replacingOccurrences(
                of: #""weightsSHA256" : "[0-9a-f]*""#, with: #""weightsSHA256" : "deadbeefdeadbeef""#, options: .regularExpression)
        },
        Case("another number of layers", ["model", "llama 2 layers", "llama 1 layers"], Case.setting("layers", to: "2")),
        Case("unknown schemaVersion", ["schemaVersion", "99", "reads schema 1"], Case.setting("schemaVersion", to: "99")),
        Case("no schemaVersion", ["schemaVersion", "missing"], Case.replacing("\"schemaVersion\"", by: "\"schema\"")),
        Case(
            "misspelt field", ["denseBellow", "not a field"],
            Case.replacing("\"denseBelow\" :", by: "\"denseBellow\" : 7,\n  \"denseBelow\" :")),
        Case(
            "misspelt field deep inside", ["buckets[0].layers[0][0].parameters.sinkss"],
            Case.replacing("\"sinks\" :", by: "\"sinkss\" : 1, \"sinks\" :")),
        Case(
            "missing field", ["buckets[0].layers[0][0].parameters.sampleRatio", "missing"],
            Case.replacing("\"sampleRatio\"", by: "\"ratioOfSamples\"")),
        Case("alpha 0", [alpha, "0.0", "(0, 1]"], Case.setting("alpha", to: "0")),
        Case("alpha 1.5", [alpha, "1.5", "(0, 1]"], Case.setting("alpha", to: "1.5")),
        Case("alpha as a percentage", [alpha, "95.0", "(0, 1]"], Case.setting("alpha", to: "95")),
        Case("alpha NaN", ["JSON"], Case.setting("alpha", to: "NaN")),
        Case("alpha as a text", [alpha, "must be a number"], Case.setting("alpha", to: "\"NaN\"")),
        Case("alpha null", [alpha], Case.setting("alpha", to: "null")),
        Case("negative sinks", ["buckets[0].layers[0][0].parameters.sinks", "-1"], Case.setting("sinks", to: "-1")),
        Case(
            "unknown pattern", ["buckets[0].layers[0][0].parameters.pattern"], Case.replacing("\"pattern\" : \"", by: "\"pattern\" : \"no-")
        ),
        Case("negative denseBelow", ["denseBelow", "-5"], Case.setting("denseBelow", to: "-5")),
        Case("measurement past the range of numbers", ["config.json"], Case.setting("meanMass", to: "1e999")),
        Case("file cut short", ["JSON"]) { String($0.prefix($0.count / 2)) },
        Case("empty file", ["JSON"]) { _ in "" },
        Case("no object", ["config.json"]) { _ in "[1, 2]" },
    ]

    @Test(arguments: cases)
    func refusesTheConfig(_ broken: Case) throws {
        let (model, path) = try Self.tuned()
        let damaged = broken.damage(try model.scratch.read("study/config.json"))
        #expect(try damaged != model.scratch.read("study/config.json"))
        try model.scratch.write(damaged, to: "study/config.json")
        try expect(.configuration, naming: [path] + broken.parts, leaving: model.scratch, ["config", "check", path, "--model", model.path])
        try expect(
            .configuration, naming: [path] + broken.parts,
            ["generate", "--model", model.path, "--prompt", "abc", "--config", path])
    }

    @Test func refusesAConfigThatIsNotThere() throws {
        let model = try TinyModel(Scratch())
        try expect(
            .missingInput, naming: ["none.json", "must exist"], ["config", "check", model.scratch.file("none.json"), "--model", model.path])
    }

    @Test func acceptsAConfigOfAnotherMachineWithAWarning() throws {
        let (model, path) = try Self.tuned()
        let text = try model.scratch.read("study/config.json")
        try model.scratch.write(
            text.replacingOccurrences(of: #""cpu" : "[^"]*""#, with: #""cpu" : "Abacus""#, options: .regularExpression),
            to: "study/config.json")
        let check = try Program.run(["config", "check", path, "--model", model.path])
        #expect(check.exitCode == 0)
        #expect(check.errors.hasPrefix("warning: \(path): tuned on Abacus") && check.errors.filter { $0 == "\n" }.count == 1)
        #expect(check.output.contains("valid for this model"))
    }

    /// A tiny model and the path of a config for it, as `tune` writes them: one bucket of 200 tokens, two heads of stripes.
    static func tuned(in scratch: Scratch? = nil, positions: Int = 512) throws -> (TinyModel, String) {
        let model = try TinyModel(scratch ?? Scratch(), shape: .init(positions: positions))
        let profile = try Program.json([
            "profile", "--model", model.path, "--text", model.writeText(), "--length", "64", "--attention", "dense",
        ])
        func text(_ field: String) throws -> String {
            String(decoding: try JSONSerialization.data(withJSONObject: try #require(profile[field]), options: .sortedKeys), as: UTF8.self)
                .replacingOccurrences(of: "\":", with: "\" : ")
        }
        func head(alpha: String, density: String) -> String {
            """
            {
              "measured" : { "density" : \(density), "meanMass" : 0.97, "minMass" : 0.25, "milliseconds" : 0.5, "outputError" : 0.01,
                "p1Mass" : 0.75 },
              "parameters" : { \(parameters(alpha: alpha)) }
            }
            """
        }
        func parameters(alpha: String) -> String {
            """
            "alpha" : \(alpha), "columnScoring" : "window-aware", "denseLastRows" : 64, "pattern" : "stripe-window",
                "sampleRatio" : 0.05, "sampling" : "stride", "sinks" : 4, "windowTokens" : 16
            """
        }
        try FileManager.default.createDirectory(atPath: model.scratch.file("study"), withIntermediateDirectories: true)
        let path = try model.scratch.write(
            """
            {
              "buckets" : [ { "layers" : [ [ \(head(alpha: "0.9", density: "0.75")), \(head(alpha: "0.95", density: "0.8")) ] ],
                "length" : 200 } ],
              "defaults" : { \(parameters(alpha: "0.95")) },
              "denseBelow" : 0,
              "model" : \(text("model")),
              "provenance" : \(text("provenance")),
              "schemaVersion" : 1
            }
            """, to: "study/config.json")
        return (model, path)
    }
}
