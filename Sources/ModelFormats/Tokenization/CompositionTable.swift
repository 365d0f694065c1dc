/// Which scalars normalisation form C may change or join to what stands before them; all others it leaves as they are.
///
/// Source: Unicode Standard Annex #15, quick check. Ranges hold more than they must where that makes them fewer.
enum CompositionTable {
    /// Combining class 0, yet composed to the scalar before, replaced by others, or never the outcome of composition.
    private static let starters: [ClosedRange<UInt32>] = [
        0x0374...0x0374, 0x037E...0x037E, 0x0387...0x0387, 0x0958...0x095F, 0x09BE...0x09BE, 0x09D7...0x09DF, 0x0A33...0x0A36,
        0x0A59...0x0A5E, 0x0B3E...0x0B3E, 0x0B56...0x0B5D, 0x0BBE...0x0BBE, 0x0BD7...0x0BD7, 0x0CC2...0x0CC2, 0x0CD5...0x0CD6,
        0x0D3E...0x0D3E, 0x0D57...0x0D57, 0x0DCF...0x0DCF, 0x0DDF...0x0DDF, 0x0F43...0x0F43, 0x0F4D...0x0F5C, 0x0F69...0x0F69,
        0x0F73...0x0F78, 0x0F81...0x0F81, 0x0F93...0x0F93, 0x0F9D...0x0FAC, 0x0FB5...0x0FB9, 0x102E...0x102E, 0x1161...0x1175,
        0x11A8...0x11C2, 0x1B35...0x1B35, 0x1F71...0x1F7D, 0x1FBB...0x1FBE, 0x1FC9...0x1FEF, 0x1FF9...0x2001, 0x2126...0x212B,
        0x2329...0x232A, 0x2ADC...0x2ADC, 0xF900...0xFAD9, 0xFB1D...0xFB1F, 0xFB2A...0xFB4E, 0x11127...0x11127, 0x1133E...0x1133E,
        0x11357...0x11357, 0x113B8...0x113C9, 0x114B0...0x114B0, 0x114BA...0x114BD, 0x115AF...0x115AF, 0x11930...0x11930,
        0x1611E...0x16129, 0x16D63...0x16D67, 0x1D15E...0x1D164, 0x1D1BB...0x1D1C0, 0x2F800...0x2FA1D,
    ]

    /// Nothing above is touched by composition.
    private static let end: UInt32 = 0x30000

    /// A bit a scalar.
    private static let bits: [UInt64] = {
        var bits = [UInt64](repeating: 0, count: Int(end / 64))
        func mark(_ value: UInt32) { bits[Int(value / 64)] |= 1 << UInt64(value % 64) }
        for range in starters { range.forEach(mark) }
        for value in 0..<end where Unicode.Scalar(value)?.properties.canonicalCombiningClass ?? .notReordered != .notReordered {
            mark(value)
        }
        return bits
    }()

    static func mayChange(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value < end && bits[Int(scalar.value / 64)] & (1 << UInt64(scalar.value % 64)) != 0
    }
}
