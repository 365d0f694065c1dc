extension GGMLFormat {
    /// Numbers converted at a time: small enough for the first-level cache, and a whole number of any format's blocks.
    private static let chunk = 4096

    /// Converts every block of `source` (little-endian, any alignment) to Float, as ggml's own conversion does to the last bit.
    ///
    /// - Returns: the first NaN or infinity, if any; numbers far behind it are not converted.
    func convert(_ source: UnsafeRawBufferPointer, into destination: UnsafeMutablePointer<Float>) -> FloatFormat.Fault? {
        switch self {
        case .float32: return FloatFormat.float32.convert(source, into: destination)
        case .float16: return FloatFormat.float16.convert(source, into: destination)
        case .bfloat16: return FloatFormat.bfloat16.convert(source, into: destination)
        default: break
        }
        guard let base = source.baseAddress else { return nil }
        let (blocks, blocksAtATime) = (source.count / blockSize, Self.chunk / blockLength)
        for start in stride(from: 0, to: blocks, by: blocksAtATime) {
            let count = min(blocksAtATime, blocks - start)
            let output = destination + start * blockLength
            convertBlocks(base + start * blockSize, count, output)
            if let fault = FloatFormat.firstFault(output, count * blockLength) {
                return FloatFormat.Fault(index: start * blockLength + fault.index, name: fault.name)
            }
        }
        return nil
    }

    /// One conversion for each format of blocks, so that its loop is compiled for it.
    private func convertBlocks(_ source: UnsafeRawPointer, _ count: Int, _ output: UnsafeMutablePointer<Float>) {
        switch self {
        case .float32, .float16, .bfloat16: preconditionFailure("these formats have no blocks")
        case .q4x0: ScaledBlocks.convertQ4x0(source, count, output)
        case .q4x1: ScaledBlocks.convertQ4x1(source, count, output)
        case .q5x0: ScaledBlocks.convertQ5x0(source, count, output)
        case .q5x1: ScaledBlocks.convertQ5x1(source, count, output)
        case .q8x0: ScaledBlocks.convertQ8x0(source, count, output)
        case .q4K: SuperBlocks.convertQ4K(source, count, output)
        case .q5K: SuperBlocks.convertQ5K(source, count, output)
        case .q6K: SuperBlocks.convertQ6K(source, count, output)
        }
    }
}
