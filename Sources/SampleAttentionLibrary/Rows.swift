import AttentionCore
import CSampleAttention

/// The extents of rows [batch][heads][tokens][dimension].
struct RowExtents {
    let batch, heads, tokens, dimension: Int

    /// Their axes with a stride, and what the header calls these.
    func axes(_ strides: RowStrides) -> [(name: String, extent: Int, stride: Int)] {
        [
            ("batch_stride", batch, strides.batch), ("head_stride", heads, strides.head), ("token_stride", tokens, strides.token),
        ]
    }
}

/// In elements.
struct RowStrides {
    let batch, head, token: Int
}

/// Rows in the caller's memory, checked but for its length. Threads that share them read, or write rows of their own.
struct Rows: @unchecked Sendable {
    /// The format of one number.
    enum Elements {
        case fp32, bf16

        var bytes: Int { self == .fp32 ? 4 : 2 }
    }

    let base: UnsafeMutableRawPointer
    let elements: Elements
    let extents: RowExtents
    let strides: RowStrides

    /// - Throws: `InputError` (`usage`) for a tensor without memory, of unknown elements, with strides that are negative or leave
    ///   64 bits, or off its alignment.
    init(_ tensor: sample_attention_tensor, _ extents: RowExtents, field: String) throws(InputError) {
        try self.init(
            base: UnsafeMutableRawPointer(mutating: tensor.data), elements: tensor.elements, extents: extents,
            strides: RowStrides(batch: Int(tensor.batch_stride), head: Int(tensor.head_stride), token: Int(tensor.token_stride)),
            field: field)
    }

    /// The same for rows that are written.
    ///
    /// - Throws: `InputError` (`usage`) also where rows may share memory.
    init(_ tensor: sample_attention_output, _ extents: RowExtents, field: String) throws(InputError) {
        try self.init(
            base: tensor.data, elements: tensor.elements, extents: extents,
            strides: RowStrides(batch: Int(tensor.batch_stride), head: Int(tensor.head_stride), token: Int(tensor.token_stride)),
            field: field)
        // Axes nest: what one of them steps over holds all of those within it.
        var span = extents.dimension
        for axis in extents.axes(strides).filter({ $0.extent > 1 }).sorted(by: { $0.stride < $1.stride }) {
            guard axis.stride >= span else {
                throw InputError(
                    .usage, field: "\(field).\(axis.name)", value: "\(axis.stride)",
                    rule: "must be at least \(span), to keep the rows apart")
            }
            span += (axis.extent - 1) * axis.stride
        }
    }

    private init(
        base: UnsafeMutableRawPointer?, elements: Int32, extents: RowExtents, strides: RowStrides, field: String
    ) throws(InputError) {
        self.base = try required(base, "\(field).data")
        switch Int(elements) {
        case SAMPLE_ATTENTION_FP32: self.elements = .fp32
        case SAMPLE_ATTENTION_BF16: self.elements = .bf16
        default:
            throw InputError(
                .usage, field: "\(field).elements", value: "\(elements)", rule: "must be SAMPLE_ATTENTION_FP32 or SAMPLE_ATTENTION_BF16")
        }
        (self.extents, self.strides) = (extents, strides)
        try checkAlignment(self.base, to: self.elements.bytes, "\(field).data")
        var end = extents.dimension
        for axis in extents.axes(strides) {
            guard axis.stride >= 0 else {
                throw InputError(.usage, field: "\(field).\(axis.name)", value: "\(axis.stride)", rule: "must not be negative")
            }
            let (span, overflows) = axis.stride.multipliedReportingOverflow(by: axis.extent - 1)
            let (next, leaves) = end.addingReportingOverflow(span)
            // Memory ends far below 2^60 bytes.
            guard !overflows, !leaves, next <= 1 << 58 else {
                throw InputError(
                    .usage, field: "\(field).\(axis.name)", value: "\(axis.stride)",
                    rule: "must keep \(axis.extent) steps within the memory there can be")
            }
            end = next
        }
    }

    /// Where the first row of a batch's entry stands.
    private func start(_ batch: Int) -> UnsafeMutableRawPointer { base + batch * strides.batch * elements.bytes }

    /// The rows of one batch as they lie, where they are floats.
    func floats(_ batch: Int) -> HeadTensor? {
        guard elements == .fp32 else { return nil }
        return HeadTensor(
            base: UnsafePointer(start(batch).assumingMemoryBound(to: Float.self)), heads: extents.heads, tokens: extents.tokens,
            dimension: extents.dimension, headStride: strides.head, tokenStride: strides.token)
    }

    /// The same, to be written.
    func mutableFloats(_ batch: Int) throws(InputError) -> MutableHeadTensor? {
        guard elements == .fp32 else { return nil }
        // How long the memory is, the caller alone knows.
        let floats = UnsafeMutableBufferPointer(start: start(batch).assumingMemoryBound(to: Float.self), count: 1 << 58)
        return try MutableHeadTensor(
            floats, heads: extents.heads, tokens: extents.tokens, dimension: extents.dimension, headStride: strides.head,
            tokenStride: strides.token, field: "output")
    }

    /// A row of one batch.
    func row(_ batch: Int, head: Int, token: Int) -> UnsafeMutableRawPointer {
        start(batch) + (head * strides.head + token * strides.token) * elements.bytes
    }
}
