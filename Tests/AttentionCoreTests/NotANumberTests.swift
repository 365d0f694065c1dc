import AttentionCore
import Testing

/// What the standard library's comparisons pass over is kept, wherever it stands.
@Suite struct NotANumberTests {
    @Test func clampedSharesAreSharesOrNoNumbers() {
        var random = SeededGenerator(seed: 4)
        var numbers: [Double] = [
            -0.0, .leastNonzeroMagnitude, -.leastNonzeroMagnitude, .greatestFiniteMagnitude, -.greatestFiniteMagnitude,
        ]
        for border: Double in [0, 1] { numbers += [border.nextDown, border, border.nextUp, border - 1e-6, border + 1e-6] }
        for _ in 0..<1000 { numbers.append(random.normal()) }
        for number in numbers {
            let share = number.clampedShare
            #expect((0...1).contains(share) && share.sign == .plus, "\(number)")
            // The nearest share there is.
            let distance: Double = number < 0 ? -number : number > 1 ? number - 1 : 0
            #expect((share - number).magnitude == distance, "\(number)")
            if Float(number).isFinite { #expect(Float(number).clampedShare == Float(share), "\(number)") }
        }
        for broken in [Double.nan, -.nan, .signalingNaN, .infinity, -.infinity] {
            #expect(broken.clampedShare.isNaN && broken.clamped(to: -3...7).isNaN && Float(broken).clampedShare.isNaN, "\(broken)")
        }
        #expect(9.0.clamped(to: -3...7) == 7 && (-9.0).clamped(to: -3...7) == -3 && 2.0.clamped(to: -3...7) == 2)
        // What this is for.
        #expect(min(1, Double.nan) == 1)
    }

    @Test func extremesKeepWhatIsNotANumber() {
        let numbers = [3.0, -1, .infinity, -.infinity, 0]
        #expect(numbers.least() == -.infinity && numbers.largest() == .infinity)
        #expect([Double]().least() == nil && [Double]().largest() == nil && [5.0].least() == 5 && [5.0].largest() == 5)
        for place in 0...numbers.count {
            var broken = numbers
            broken.insert(.nan, at: place)
            #expect(broken.least()!.isNaN && broken.largest()!.isNaN, "\(place)")
        }
        for (a, b) in [(Double.nan, 1.0), (1, .nan), (.nan, .nan), (.nan, -.infinity), (.infinity, .nan)] {
            #expect(Double.smaller(a, b).isNaN && Double.larger(a, b).isNaN, "\(a), \(b)")
        }
        #expect(Double.smaller(2, 1) == 1 && Double.smaller(1, 2) == 1 && Double.larger(2, 1) == 2 && Double.larger(1, 2) == 2)
    }

    @Test func errorsSayWhatTheyLieIn() throws {
        let error = InputError(.invalidData, file: "f", field: "head 1", value: "nan", rule: "must be finite")
        #expect(error.within("layer 2").description == "f: layer 2, head 1: nan: must be finite")
        #expect(InputError(.usage, rule: "r").within("layer 2").field == "layer 2")
        let thrown = try #require(throws: InputError.self) {
            try InputError.within("layer 3") { () throws(InputError) in throw error }
        }
        #expect(thrown == error.within("layer 3"))
    }
}
