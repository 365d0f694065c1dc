import CAttentionKernels

extension SATile {
    /// Keys, and their values where a kernel reads them, that stand in a kernel's elements; nothing is fetched under the tile.
    package init(
        keys: UnsafeRawPointer?, stride: Int, values: UnsafeRawPointer? = nil, valueStride: Int = 0, count: Int, cap: Float
    ) {
        self.init(
            keys: keys, key_stride: stride, values: values, value_stride: valueStride, count: Int32(count), next: (nil, nil),
            next_stride: (0, 0), next_rows: 0, next_index: nil, cap: cap)
    }
}
