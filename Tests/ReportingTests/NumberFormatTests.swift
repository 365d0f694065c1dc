import Reporting
import Testing

@Suite struct NumberFormatTests {
    @Test(arguments: [
        (0.94249, 3, "0.942"), (0.9995, 3, "1.000"), (1.115, 2, "1.12"), (-0.0004, 3, "0.000"), (-1.25, 1, "-1.3"),
        (99.96, 1, "100.0"), (0.05, 0, "0"), (0.5, 0, "1"), (1e21, 0, "1000000000000000000000"), (0, 2, "0.00"),
        (.leastNonzeroMagnitude, 2, "0.00"), (123.456, 1, "123.5"), (.nan, 2, "–"), (.infinity, 0, "–"), (-.infinity, 0, "–"),
    ])
    func fixedDecimals(value: Double, decimals: Int, expected: String) {
        #expect(NumberFormat.fixed(value, decimals: decimals) == expected)
    }

    @Test(arguments: [
        (0.942371, 3, "0.942"), (12.345, 3, "12.3"), (1234.5, 3, "1230"), (999_600, 3, "1.00e6"), (99.96, 3, "100"),
        (0.000123, 2, "0.00012"), (0.0000123, 3, "1.23e-5"), (-2.5e9, 2, "-2.5e9"), (0, 3, "0"), (-0.0, 3, "0"),
        (7, 1, "7"), (.nan, 3, "–"), (1.7976931348623157e308, 3, "1.80e308"), (.leastNonzeroMagnitude, 1, "5e-324"),
    ])
    func significantDigits(value: Double, digits: Int, expected: String) {
        #expect(NumberFormat.significant(value, digits: digits) == expected)
    }

    /// The text of a number rounded to many digits reads back as the number.
    @Test func roundTrip() throws {
        for value in [0.1, 1 / 3.0, 123456.789, 2e-3, 6.02214076e23, 9.999999999e-5] {
            let text = NumberFormat.significant(value, digits: 17)
            #expect(try #require(Double(text)) == value, "\(text)")
        }
    }

    @Test(arguments: [(0, "0"), (999, "999"), (1000, "1,000"), (131_072, "131,072"), (-1_234_567, "-1,234,567")])
    func groupedCounts(value: Int, expected: String) {
        #expect(NumberFormat.count(value) == expected)
    }

    @Test(arguments: [
        (0, "0 B"), (1023, "1023 B"), (1024, "1.00 KiB"), (1_610_612_736, "1.50 GiB"), (1_048_575, "1.00 MiB"),
        (10_236, "10.0 KiB"), (102_340, "99.9 KiB"), (Int.max, "8.00 EiB"),
    ])
    func binaryBytes(count: Int, expected: String) {
        #expect(NumberFormat.bytes(count) == expected)
    }

    @Test func unitsFollowTheNumber() {
        #expect(NumberFormat.percent(0.9418) == "94.2 %")
        #expect(NumberFormat.percent(0.07, decimals: 0) == "7 %")
        #expect(NumberFormat.percent(.nan) == "–")
        #expect(NumberFormat.milliseconds(12.345) == "12.3 ms")
        #expect(NumberFormat.milliseconds(1234.5) == "1235 ms")
        #expect(NumberFormat.milliseconds(1_234_567.2) == "1234567 ms")
        #expect(NumberFormat.seconds(0.01234) == "0.0123 s")
        #expect(NumberFormat.seconds(.infinity) == "–")
    }

    @Test(arguments: [
        (Duration.zero, "0 s"), (.milliseconds(499), "0 s"), (.milliseconds(500), "1 s"), (.milliseconds(59_600), "1 m 00 s"),
        (.seconds(80), "1 m 20 s"), (.seconds(7500), "2 h 05 m"), (.seconds(3 * 86400 + 4 * 3600), "3 d 04 h"),
        (.seconds(-5), "0 s"),
    ])
    func durations(span: Duration, expected: String) {
        #expect(NumberFormat.duration(span) == expected)
    }

    @Test func valueFormats() {
        #expect(ValueFormat.significant(2).text(0.123) == "0.12")
        #expect(ValueFormat.fixed(decimals: 1).text(0.123) == "0.1")
        #expect(ValueFormat.percent(decimals: 1).text(0.123) == "12.3 %")
        #expect(ValueFormat.count.text(4096) == "4,096")
        #expect(ValueFormat.count.text(4096.5) == "4100")
        #expect(ValueFormat.count.text(1e300) == "1.00e300")
        #expect(ValueFormat.milliseconds.text(.nan) == "–")
        #expect(ValueFormat.seconds.text(2) == "2.00 s")
    }
}
