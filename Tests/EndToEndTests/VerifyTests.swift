import AttentionTestSupport
import Foundation
import Testing

/// `verify`, run as its users run it.
@Suite struct VerifyTests {
    @Test(arguments: ["fp32", "bf16"]) func everyValidBoundHolds(precision: String) throws {
        let result = try Program.json(["verify", "--length", "64", "--length", "200", "--precision", precision])
        #expect(result["holds"] as? Bool == true)
        #expect((result["patterns"] as? [String])?.count == 8)
        let bounds = try #require(result["bounds"] as? [[String: Any]])
        #expect(bounds.count == 9)
        for bound in bounds where bound["valid"] as? Bool == true {
            #expect(bound["violations"] as? Int == 0, "\(bound)")
            #expect(try number(bound, "maxRatio") < 1 + 1e-9 && number(bound, "checked") > 10_000, "\(bound)")
        }
        for name in ["renormalised-radius", "renormalised-diameter"] {
            #expect(try number(#require(bounds.first { $0["name"] as? String == name }), "maxRatio") > 0.99)
        }
        let invalid = try #require(bounds.first { $0["valid"] as? Bool == false })
        #expect((invalid["name"] as? String)?.contains("factor-one") == true, "\(invalid)")
        #expect(try number(invalid, "violations") > 0 && number(invalid, "maxRatio") > 1.5, "\(invalid)")
        let worst = try #require((invalid["worst"] as? [String: Any])?["label"] as? String)
        #expect((result["adversarialHeads"] as? [String])?.contains { worst.hasPrefix($0) } == true)
    }

    @Test func saysOfEveryHeadHowMuchTheBoundPromises() throws {
        let result = try Program.json(["verify", "--length", "150", "--length", "200"])
        let heads = try #require(result["heads"] as? [[String: Any]])
        #expect(heads.count == 96)
        #expect(Set(heads.map { [$0["tokens"], $0["layer"], $0["head"]].map { $0 as? Int } }).count == 96)
        for head in heads {
            #expect(try number(head, "vacuity") >= 1 && number(head, "kernelAllowanceUsed") < 1, "\(head)")
            #expect(try number(head, "diameter") <= number(head, "diameterUpperBound") * (1 + 1e-12), "\(head)")
            let alphas = try #require(head["alphas"] as? [[String: Any]])
            #expect(alphas.map { $0["share"] as? Double } == [0.01, 0.05, 0.1])
            #expect(try alphas.allSatisfy { try (0...1).contains(number($0, "renormalised")) }, "\(head)")
        }
        let text = try Program.output(["verify", "--length", "130"])
        #expect(text.contains("bound / error") && text.hasSuffix("Every valid bound holds.\n"))
    }

    @Test func nothingLostHasNoRange() throws {
        let text = try Program.output(["verify", "--length", "64", "--head-pattern", "dense"])
        let row = try #require(text.split(separator: "\n").first { $0.hasPrefix("moby-dick.txt") })
        #expect(row.split(separator: " ").prefix(5) == ["moby-dick.txt", "64", "1.000", "–", "–"], "\(row)")
        #expect(!row.contains("– –"), "\(row)")
    }

    /// Values ±1.5e38 by turns: dense sums cancel as they go, but every 16th key has one sign, and three of them overflow FP32.
    private func overflowingModel() throws -> TinyModel {
        let model = try TinyModel(Scratch())
        for index in model.tensors.indices {
            let tensor = model.tensors[index]
            func fill(_ value: (Int) -> Float) { model.tensors[index].values = tensor.values.indices.map(value) }
            if tensor.name.contains("norm") { fill { _ in 1 } }
            if tensor.name.contains("proj") { fill { _ in 0 } }
            if tensor.name.contains("v_proj") { fill { $0 == 0 ? 1.5e38 : 0 } }
            if tensor.name.contains("embed") {
                fill { $0 / 16 == Int(UInt8(ascii: "a")) ? 1 : $0 / 16 == Int(UInt8(ascii: "b")) ? -1 : 0 }
            }
        }
        try model.write()
        return model
    }

    /// Two keys of a sign in the columns and one in the window; the dense sums cancel in time. No such number can be compared or kept.
    @Test func aProfileRefusesAPatternThatOverflows() throws {
        let model = try overflowingModel()
        let text = try model.scratch.write("aabb" + String(repeating: "ab", count: 60), to: "turns.txt")
        let outcome = try Program.run([
            "profile", "--model", model.path, "--text", text, "--length", "100", "--output", model.scratch.file("out"), "--window-tokens",
            "1", "--alpha", "0.13",
        ])
        #expect(outcome.exitCode == Refusal.invalidData.rawValue)
        #expect(outcome.errors.hasPrefix("error: layer 0, head 0: error inf: outputs must be finite"), "\(outcome.errors)")
    }

    @Test func aBrokenBoundNamesHeadAndRowAndExitsWithOne() throws {
        let model = try overflowingModel()
        let text = try model.scratch.write(String(repeating: "ab", count: 60), to: "turns.txt")
        let outcome = try Program.run(["verify", "--model", model.path, "--text", text, "--length", "100", "--json"])
        #expect(outcome.exitCode == 1)
        let result = try outcome.json()
        #expect(result["holds"] as? Bool == false)
        let bounds = try #require(result["bounds"] as? [[String: Any]])
        let broken = bounds.filter { $0["valid"] as? Bool == true && $0["violations"] as? Int != 0 }.compactMap { $0["name"] as? String }
        #expect(broken == ["kernel-rounding", "kernel-renormalised-radius", "kernel-renormalised-diameter"])
        let lines = outcome.errors.split(separator: "\n").filter { $0.hasPrefix("broken: ") }
        #expect(lines.count == 3, "\(outcome.errors)")
        for (line, name) in zip(lines, broken) {
            let place = "broken: \(name): turns.txt, 100 tokens, layer 0, head 0, every 16th column and window of 8: query "
            #expect(line.hasPrefix(place), "\(line)")
        }
    }
}
