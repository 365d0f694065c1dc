import AttentionCore
import RunProvenance
import SampleAttention
import Testing

@Suite struct ConfigDifferenceTests {
    private static func differences(_ change: (inout TunedConfig) throws -> Void) throws -> [ConfigDifference] {
        let left = try TunedConfigTests.config()
        var right = left
        try change(&right)
        let there = ConfigDifference.between(left, right)
        let back = ConfigDifference.between(right, left)
        #expect(back.map(\.field) == there.map(\.field) && back.map(\.left) == there.map(\.right))
        return there
    }

    @Test func equalConfigsDifferNowhere() throws {
        #expect(try Self.differences { _ in }.isEmpty)
        // A seed has no meaning without random sampling, so the file does not hold it.
        #expect(try Self.differences { $0.defaults.samplingSeed = 99 }.isEmpty)
    }

    @Test func eachFieldIsNamedWithBothValues() throws {
        let found = try Self.differences {
            $0.buckets[1].layers[0][0].parameters.alpha = try Fraction(0.5)
            $0.buckets[0].layers[0][0].measured.density = 0.25
            $0.defaults.sinks = 4
            $0.denseBelow = 7
            $0.provenance.seed = 2
            $0.model.weightsSHA256 = "ff"
        }
        #expect(
            found.map(\.field) == [
                "model.weightsSHA256", "provenance.seed", "denseBelow", "defaults.sinks", "buckets[4096][0][0].measured.density",
                "buckets[16384][0][0].parameters.alpha",
            ])
        #expect(found.map(\.part) == [.model, .provenance, .denseBelow, .defaults, .buckets, .buckets])
        #expect(found.map(\.length) == [nil, nil, nil, nil, 4096, 16384])
        #expect(found[5].left == "0.95" && found[5].right == "0.5")
        #expect(found[0].left == "aa" && found[0].right == "ff")
    }

    /// Buckets are compared by length, not by their place in the list.
    @Test func bucketsAndHeadsOnOneSideAreOneDifferenceEach() throws {
        let bucket = try Self.differences { $0.buckets.removeFirst() }
        #expect(bucket.map(\.field) == ["buckets[4096]"] && bucket[0].right == nil && bucket[0].left == "a list of 1")
        let head = try Self.differences { $0.buckets[1].layers[0].removeLast() }
        #expect(head.map(\.field) == ["buckets[16384][0][2]"] && head[0].right == nil)
        let window = try Self.differences { $0.buckets[0].layers[0][0].parameters.window = .ratio(try Fraction(0.5)) }
        #expect(window.map(\.field) == ["windowRatio", "windowTokens"].map { "buckets[4096][0][0].parameters.\($0)" })
        #expect(window[0].left == nil && window[0].right == "0.5" && window[1].left == "128" && window[1].right == nil)
    }
}
