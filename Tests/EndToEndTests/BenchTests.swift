import Foundation
import Testing

/// Every benchmark on small sizes: its rows are there and right, whatever their times.
@Suite struct BenchTests {
    @Test func benchesAttention() throws {
        let result = try Program.json(["bench", "attention", "--length", "256", "--rounds", "1", "--threads", "1"])
        let rows = try #require(result["results"] as? [[String: Any]])
        #expect(Set(rows.map { "\($0["pattern"] ?? "") \($0["headDimension"] ?? "")" }).count == 6 && rows.count == 6)
        for row in rows {
            #expect(try number(row, "milliseconds") > 0 && number(row, "gigaflops") > 0 && number(row, "maxError") < 1e-4)
            #expect(row["threads"] as? Int == 1 && row["length"] as? Int == 256)
        }
    }

    @Test(arguments: ["fp32", "bf16"])
    func benchesEveryPattern(_ precision: String) throws {
        let patterns = ["dense", "window-columns", "columns-slashes", "blocks", "key-blocks"]
        let result = try Program.json(
            [
                "bench", "attention", "--length", "600", "--rounds", "1", "--head-dimension", "32", "--precision", precision, "--density",
                "0.3",
            ]
                + patterns.flatMap { ["--pattern", $0] })
        let rows = try #require(result["results"] as? [[String: Any]])
        #expect(rows.map { $0["pattern"] as? String } == patterns)
        for row in rows {
            #expect(row["precision"] as? String == precision)
            let density = try #require(row["density"] as? Double), share = try #require(row["shareOfPeak"] as? Double)
            #expect(density > 0.1 && density <= 1 && share > 0)
            #expect((row["timeOverDenseShare"] as? Double == nil) == (row["pattern"] as? String == "dense"))
        }
    }

    @Test func benchesTheOtherParts() throws {
        func rows(_ arguments: [String]) throws -> [[String: Any]] {
            try #require(Program.json(["bench"] + arguments)["results"] as? [[String: Any]])
        }
        #expect(try rows(["peak", "--threads", "1"]).compactMap { $0["name"] as? String } == ["fp32", "bf16", "read"])
        let products = try rows(["gemm", "--shape", "100x70x90", "--rounds", "1"])
        #expect(products.compactMap { $0["library"] as? String } == ["own", "openblas"])
        #expect(products.allSatisfy { ($0["gigaflops"] as? Double ?? 0) > 0 })
        let selections = try rows(
            [
                "selection", "--length", "600", "--head-dimension", "16", "--scored-dimensions", "1", "--scored-dimensions", "0.5",
                "--rounds", "1",
            ]
        )
        #expect(selections.compactMap { $0["sampleRatio"] as? Double } == [0.05, 0.01, 0.05, 0.01, 1, 1])
        #expect(selections.compactMap { $0["scoredDimensions"] as? Double } == [1, 1, 1, 1, 1, 0.5])
        let work = try selections.suffix(2).map { try number($0, "gigaflops") * number($0, "milliseconds") }
        #expect(abs(work[0] / work[1] - 2) < 1e-9)
        #expect(selections.allSatisfy { ($0["selected"] as? Int ?? 0) > 0 })
        let prefill = try #require(rows(["prefill", "--length", "256", "--rounds", "1", "--precision", "bf16"]).first)
        let parts = ["attentionSeconds", "productSeconds", "otherSeconds"].compactMap { prefill[$0] as? Double }
        #expect(abs(parts.reduce(0, +) - (prefill["seconds"] as? Double ?? 0)) < 1e-6)
        #expect(prefill["maxError"] as? Double ?? 1 < 0.1)
        let backward = try #require(rows(["backward", "--length", "200", "--labels", "2", "--rounds", "1", "--precision", "bf16"]).first)
        #expect(backward["maxError"] as? Double ?? 1 < 0.1 && backward["labels"] as? Int == 2)
        #expect(abs(try number(backward, "timesForward") * number(backward, "forwardSeconds") - number(backward, "backwardSeconds")) < 1e-6)
    }

    /// Scores of every kind of operands, and how the choice of groups agrees with FP32's.
    @Test func benchesScores() throws {
        let result = try Program.json(
            ["bench", "scores", "--length", "200", "--length", "700", "--head-dimension", "16", "--rounds", "1"])
        let rows = try #require(result["results"] as? [[String: Any]])
        #expect(rows.compactMap { $0["operands"] as? String } == ["int8", "fp32", "bf16", "int8", "fp32", "bf16"])
        #expect(rows.prefix(3).allSatisfy { $0["heaviestAgreement"] as? Double == nil })
        for row in rows { #expect(try number(row, "milliseconds") > 0 && number(row, "gigaoperations") > 0) }
        #expect(try number(rows[3], "heaviestAgreement") > 0.9 && number(rows[4], "heaviestAgreement") == 1)
    }

    /// Every format at every length, right and of its size.
    @Test func benchesDecoding() throws {
        let result = try Program.json(["bench", "decode", "--length", "40", "--length", "700", "--rounds", "2", "--tokens", "3"])
        let rows = try #require(result["results"] as? [[String: Any]])
        #expect(rows.compactMap { $0["cache"] as? String } == ["fp32", "bf16", "int8", "fp32", "bf16", "int8"])
        #expect(rows.compactMap { $0["length"] as? Int } == [40, 40, 40, 700, 700, 700])
        // 8 layers, 2 key-value heads of 64 numbers.
        #expect(rows.compactMap { $0["cacheBytes"] as? Int } == [43, 703].flatMap { rows in [256, 128, 68].map { 32 * rows * $0 } })
        for row in rows {
            let (all, attention) = try (number(row, "milliseconds"), number(row, "attentionMilliseconds"))
            #expect(attention > 0 && attention < all)
            #expect(try number(row, "millisecondsLeast") <= all && number(row, "millisecondsMost") >= all)
            #expect(try number(row, "gigabytesPerSecond") > 0 && number(row, "maxError") < 1e-4)
        }
        let text = try Program.output(["bench", "decode", "--length", "20", "--cache", "bf16", "--rounds", "1", "--tokens", "1"])
        #expect(text.contains("ms/token") && text.contains("bf16") && !text.contains("int8"), "\(text)")
    }

    /// Every sampler with one objective and with two; the Parzen estimator finds what evenly spread points do not.
    @Test func benchesSamplers() throws {
        let result = try Program.json(["bench", "sampler", "--trials", "60", "--best"])
        let rows = try #require(result["results"] as? [[String: Any]])
        #expect(rows.compactMap { $0["sampler"] as? String } == ["quasi-random", "tpe"].flatMap { [$0, $0] })
        #expect(rows.compactMap { $0["objectives"] as? Int } == [1, 2, 1, 2])
        for row in rows {
            #expect(try number(row, "millisecondsPerTrial") > 0 && number(row, "millisecondsMost") >= number(row, "millisecondsAtEnd"))
        }
        #expect(try number(rows[2], "best") < number(rows[0], "best") && number(rows[3], "best") > number(rows[1], "best"))
        let alone = try Program.json(["bench", "sampler", "--sampler", "tpe", "--objectives", "2", "--trials", "30"])
        let row = try #require((alone["results"] as? [[String: Any]])?.first)
        #expect(row["trials"] as? Int == 30 && row["best"] == nil)
    }

    @Test func benchesCertificates() throws {
        let result = try Program.json([
            "bench", "certificate", "--length", "1024", "--head-dimension", "64", "--rounds", "1", "--threads", "1",
        ])
        let rows = try #require(result["results"] as? [[String: Any]])
        #expect(rows.map { $0["setting"] as? String } == ["as selected", "escalated"])
        #expect(rows.map { $0["escalatedHeads"] as? Int } == [0, 8])
        for row in rows {
            #expect(try number(row, "milliseconds") > 0 && number(row, "shareOfDense") > 0)
            #expect(try number(row, "meanLowerBound") < number(row, "meanMass"))
        }
    }
}
