import AttentionCore
import AttentionKernels
import AttentionTestSupport
import Autotuning
import DurableFiles
import Foundation
import Parallelism
import RunProvenance
import SampleAttention
import Testing

@Suite struct LatencyFileTests {
    @Test func comesBackExactly() throws {
        let scratch = try Scratch()
        let file = try LatencyFixture.file(noise: 0.1)
        try AtomicFile.write(file.encoded(), to: scratch.file("model.json"))
        let again = try LatencyFile(contentsOf: scratch.file("model.json"))
        #expect(again == file && again.model == file.model)
        #expect(again.model.secondsPerUnit[.densePairs] == file.secondsPerUnit["densePairs"])
    }

    private func refusal(_ data: Data) throws -> String {
        let scratch = try Scratch()
        let path = try scratch.write(data, to: "model.json")
        let error = try #require(throws: InputError.self) { try LatencyFile(contentsOf: path) }
        #expect(error.file == path && !error.description.contains("\n"))
        return error.description
    }

    @Test(arguments: ["", "{", "{}", "[1]", "\u{0}\u{1}", #"{"schemaVersion": "1"}"#, #"{"schemaVersion": 1e999}"#])
    func refusesWhatIsNoModel(_ text: String) throws {
        #expect(try refusal(Data(text.utf8)).contains("schemaVersion"))
    }

    @Test func refusesOtherSchemasAndMissingFields() throws {
        func refusal(_ change: (inout [String: Any]) -> Void) throws -> String {
            var object = try #require(JSONSerialization.jsonObject(with: LatencyFixture.file().encoded()) as? [String: Any])
            change(&object)
            return try self.refusal(JSONSerialization.data(withJSONObject: object))
        }
        #expect(try refusal { $0["schemaVersion"] = 2 }.contains("schemaVersion: 2"))
        #expect(try refusal { $0["headDimension"] = 0 }.contains("headDimension: 0"))
        #expect(try refusal { $0["headDimension"] = "x" }.contains("headDimension"))
        #expect(try refusal { $0["residuals"] = nil }.contains("residuals"))
        #expect(try refusal { $0["secondsPerUnit"] = ["heads": NSNull()] }.contains("secondsPerUnit.heads"))
        for field in ["meanAbsolutePercentageError", "fitMeanAbsolutePercentageError"] {
            #expect(try refusal { $0[field] = 1e300 }.contains("\(field): 1e+300"))
            #expect(try refusal { $0[field] = -0.5 }.contains("\(field): -0.5"))
        }
        let crossover: [String: Any] = ["setting": "window", "lengths": [128], "denseSeconds": [1], "sparseSeconds": [1], "denseBelow": -5]
        #expect(try refusal { $0["crossovers"] = [crossover] }.contains("crossovers.denseBelow: -5"))
    }

    @Test func refusesCostsThatCannotBe() throws {
        func refusal(_ term: String, _ value: Double?) throws -> String {
            var object = try #require(JSONSerialization.jsonObject(with: LatencyFixture.file().encoded()) as? [String: Any])
            var costs = try #require(object["secondsPerUnit"] as? [String: Double])
            costs[term] = value
            object["secondsPerUnit"] = costs
            return try self.refusal(JSONSerialization.data(withJSONObject: object))
        }
        #expect(try refusal("tiles", -1e-9).contains("secondsPerUnit.tiles: -1e-09"))
        #expect(try refusal("tiles", 1e300).contains("secondsPerUnit.tiles: 1e+300"))
        #expect(try refusal("tiles", nil).contains("secondsPerUnit.tiles: is missing"))
        #expect(try refusal("quantizedPairs", nil).contains("secondsPerUnit.quantizedPairs: is missing"))
        #expect(try refusal("quantizedProducts", nil).contains("secondsPerUnit.quantizedProducts: is missing"))
        #expect(try refusal("hats", 1e-9).contains("secondsPerUnit.hats: is no term"))
    }

    @Test func refusesFoldersAndNothing() throws {
        let scratch = try Scratch()
        for path in [scratch.path, scratch.file("none.json")] {
            #expect(throws: InputError.self) { try LatencyFile(contentsOf: path) }
        }
    }
}

@Suite struct MachineCacheTests {
    /// How often a cache measures, and what it warns of.
    private func use(
        _ cache: MachineCache, _ asked: Provenance = LatencyFixture.provenance(), headDimension: Int = 64, refresh: Bool = false
    ) throws -> (measured: Int, warnings: [String]) {
        var (measured, warnings) = (0, [String]())
        let result = try cache.file(
            for: asked, headDimension: headDimension, refresh: refresh, warn: { warnings.append($0) },
            measure: { () throws(InputError) in
                measured += 1
                do { return try LatencyFixture.file(asked, headDimension: headDimension) } catch {
                    throw InputError(.internalFailure, rule: "\(error)")
                }
            })
        #expect(result.holds(for: asked, headDimension: headDimension))
        return (measured, warnings)
    }

    @Test func measuresOnce() throws {
        let scratch = try Scratch()
        let cache = MachineCache(directory: scratch.file("deep/folder"))
        #expect(try use(cache).measured == 1)
        #expect(try use(cache) == (0, []))
        #expect(try use(cache, refresh: true) == (1, []))
        #expect(try use(cache) == (0, []))
    }

    @Test func anotherMachineOrToolMeasuresAgain() throws {
        let scratch = try Scratch()
        let cache = MachineCache(directory: scratch.path)
        _ = try use(cache)
        let others = [
            LatencyFixture.provenance(cpu: "Other"), LatencyFixture.provenance(isa: "scalar"), LatencyFixture.provenance(threads: 2),
            LatencyFixture.provenance(precision: .fp32),
            LatencyFixture.provenance(version: "1.2.4"), LatencyFixture.provenance(commit: "abd"),
        ]
        for other in others { #expect(try use(cache, other) == (1, []), "\(other)") }
        #expect(try use(cache, headDimension: 128) == (1, []))
        #expect(try use(cache).measured == 1, "another commit's took its place")
        #expect(try use(cache, LatencyFixture.provenance(threads: 2)) == (0, []), "but other machines have files of their own")
    }

    @Test(arguments: ["", "{", "{\"schemaVersion\": 1}", "{\"schemaVersion\": 99}"]) func brokenFilesAreMeasuredAgain(_ text: String) throws
    {
        let scratch = try Scratch()
        let cache = MachineCache(directory: scratch.path)
        let path = cache.path(machine: LatencyFixture.provenance().machine, headDimension: 64)
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        let (measured, warnings) = try use(cache)
        #expect(measured == 1 && warnings.count == 1 && warnings[0].contains(path) && !warnings[0].contains("\n"), "\(warnings)")
        #expect(try use(cache) == (0, []))
    }

    /// A file of another machine under this one's name.
    @Test func namesAreNotTrusted() throws {
        let scratch = try Scratch()
        let cache = MachineCache(directory: scratch.path)
        let path = cache.path(machine: LatencyFixture.provenance().machine, headDimension: 64)
        try AtomicFile.write(try LatencyFixture.file(LatencyFixture.provenance(cpu: "Other")).encoded(), to: path)
        #expect(try use(cache) == (1, []))
    }

    @Test func unwritableFoldersCostAWarning() throws {
        let (measured, warnings) = try use(MachineCache(directory: "/dev/null/cache"))
        #expect(measured == 1 && warnings.count == 1 && warnings[0].contains("/dev/null/cache"), "\(warnings)")
        let scratch = try Scratch()
        let cache = MachineCache(directory: scratch.path)
        // A folder where the file should be can be neither read nor replaced.
        try FileManager.default.createDirectory(
            atPath: cache.path(machine: LatencyFixture.provenance().machine, headDimension: 64), withIntermediateDirectories: false)
        #expect(try use(cache).measured == 1)
    }

    /// Which precision is faster is measured once for a machine and a tool, whatever the precision that was asked with.
    @Test func precisionRatesAreMeasuredOnce() throws {
        let scratch = try Scratch()
        let cache = MachineCache(directory: scratch.file("deep/folder"))
        var measured = 0
        func rates(_ asked: Provenance) throws -> PrecisionRates {
            try cache.precisionRates(for: asked) { () throws(InputError) in
                measured += 1
                return PrecisionRates(fp32Gigaflops: 100, bf16Gigaflops: Double(200 + measured))
            }
        }
        let first = try rates(LatencyFixture.provenance())
        #expect(try rates(LatencyFixture.provenance(precision: .fp32)) == first && measured == 1)
        for other in [
            LatencyFixture.provenance(cpu: "Other"), LatencyFixture.provenance(isa: "scalar"), LatencyFixture.provenance(version: "1.2.4"),
        ] {
            let before = measured
            #expect(try rates(other) != first && measured == before + 1, "\(other)")
        }
        // Broken files, and folders that cannot be written, cost a measurement and nothing else.
        for name in try FileManager.default.contentsOfDirectory(atPath: cache.directory) {
            try Data("{".utf8).write(to: URL(fileURLWithPath: cache.directory + "/" + name))
        }
        let before = measured
        #expect(try rates(LatencyFixture.provenance()).bf16Gigaflops == Double(200 + before + 1))
        let unwritable = try MachineCache(directory: "/dev/null/cache").precisionRates(for: LatencyFixture.provenance()) { first }
        #expect(unwritable == first)
    }

    /// As a busy machine may give: which precision is faster was not clear, so it is measured again the next time.
    @Test func ratesThatAreNotClearAreNotKept() throws {
        let scratch = try Scratch()
        let cache = MachineCache(directory: scratch.file("cache"))
        var bf16 = [(130.0, true), (115, true), (60, false), (200, true), (300, true)]
        for expected in [130.0, 115, 60, 200, 200] {
            let rates = try cache.precisionRates(for: LatencyFixture.provenance()) { () throws(InputError) in
                let (rate, areSteady) = bf16.removeFirst()
                return PrecisionRates(fp32Gigaflops: 100, bf16Gigaflops: rate, areSteady: areSteady)
            }
            #expect(rates.bf16Gigaflops == expected)
        }
    }

    @Test func bf16MustBeFasterByAQuarter() throws {
        for (bf16, fastest) in [(156.0, Precision.fp32), (337, .fp32), (400, .fp32), (430, .bf16), (700, .bf16)] {
            #expect(PrecisionRates(fp32Gigaflops: 337, bf16Gigaflops: bf16).fastest == fastest)
        }
        let measured = try PrecisionRates(instructionSet: .best)
        #expect(measured.fp32Gigaflops > 0 && measured.fp32Gigaflops.isFinite)
        #expect(measured.bf16Gigaflops > 0 && measured.bf16Gigaflops.isFinite)
    }

    @Test func followsTheBaseDirectorySpecification() {
        #expect(MachineCache.standard(environment: ["XDG_CACHE_HOME": "/x", "HOME": "/h"]).directory == "/x/sample-attention")
        #expect(MachineCache.standard(environment: ["XDG_CACHE_HOME": "x", "HOME": "/h"]).directory == "/h/.cache/sample-attention")
        #expect(MachineCache.standard(environment: ["HOME": "/h"]).directory == "/h/.cache/sample-attention")
        let path = MachineCache(directory: "/c").path(machine: LatencyFixture.provenance(cpu: "../../É x").machine, headDimension: 64)
        #expect(path == "/c/latency-" + String(repeating: "-", count: 8) + "x-avx2-8-threads-bf16-d64.json")
    }
}
