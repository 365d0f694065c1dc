import AttentionCore
import CAttentionKernels
import Parallelism
import Synchronization

/// A weight matrix W [outputs][inputs] in the order and precision the kernels multiply with.
///
/// Memory: 4 bytes a weight in FP32, 2 in BF16, outputs rounded up to 64.
package final class PackedMatrix: Sendable {
    package let outputs: Int
    package let inputs: Int
    package let precision: Precision
    /// Steps of one output's inputs.
    private let steps: Int
    /// [outputs / 64][step of inputs][64].
    private let storage: AlignedBuffer<Float>

    /// Outputs of one block; parts of a product begin at multiples of it.
    package static var blockOutputs: Int { KernelTable.lanes }

    /// Rows that are best multiplied at a time: a multiple of the six of a panel, whose activations stay in the second-level cache
    /// for small models.
    package static let tileRows = 96

    /// - Parameter weights: [outputs][inputs]; only read here.
    package convenience init(_ weights: UnsafePointer<Float>, outputs: Int, inputs: Int, kernel: AttentionKernel) {
        let source = SharedPointer(UnsafeMutablePointer(mutating: weights))
        // The closure throws nothing.
        try! self.init(outputs: outputs, inputs: inputs, kernel: kernel) { rows, room in
            room.update(from: source.base + rows.lowerBound * inputs, count: rows.count * inputs)
        }
    }

    /// Packs block after block on the kernel's threads, so that the weights need not stand in memory as floats.
    ///
    /// - Parameter fill: writes some outputs' weights, [outputs][inputs], into room for them; called by several threads at once.
    /// - Throws: `InputError`: what `fill` throws of the first block that fails, and `systemFailure` when the system does not give the memory.
    package init(
        outputs: Int, inputs: Int, kernel: AttentionKernel,
        fill: @Sendable (_ outputs: Range<Int>, _ room: UnsafeMutablePointer<Float>) throws(InputError) -> Void
    ) throws(InputError) {
        self.outputs = outputs
        self.inputs = inputs
        precision = kernel.precision
        steps = kernel.tiles.steps(inputs)
        let block = Self.blockOutputs
        let blocks = (outputs + block - 1) / block
        storage = try AlignedBuffer(extents: blocks, block, steps, of: "weights of \(outputs) outputs and \(inputs) inputs")
        let rooms = AlignedBuffer<Float>(count: min(kernel.pool.threads, blocks) * block * inputs)
        let (target, room) = (SharedPointer(storage.base), SharedPointer(rooms.base))
        let failure = Mutex<(block: Int, error: InputError)?>(nil)
        kernel.pool.run(blocks) { [steps] worker, index in
            let rows = index * block..<min((index + 1) * block, outputs)
            let own = room.base + worker * block * inputs
            do throws(InputError) {
                try fill(rows, own)
                kernel.tiles.pack_weights(own, Int32(rows.count), Int32(inputs), target.base + index * block * steps)
            } catch {
                failure.withLock { if $0.map({ $0.block > index }) ?? true { $0 = (index, error) } }
            }
        }
        if let error = failure.withLock({ $0?.error }) { throw error }
    }

    /// Wᵀ [inputs][outputs], which products of gradients take: the same numbers, in the order that its own rows have.
    ///
    /// - Throws: `InputError` (`systemFailure`) when the system does not give the memory.
    package func transposed(kernel: AttentionKernel) throws(InputError) -> PackedMatrix {
        precondition(kernel.precision == precision, "a matrix is packed for its kernel")
        let block = Self.blockOutputs
        return try PackedMatrix(outputs: inputs, inputs: outputs, kernel: kernel) { [self] rows, room in
            for first in stride(from: 0, to: outputs, by: block) {
                let (count, base) = (min(block, outputs - first), storage.base + first * steps)
                for row in rows {
                    let target = room + (row - rows.lowerBound) * outputs + first
                    switch precision {
                    case .fp32: target.update(from: base + row * block, count: count)
                    case .bf16:
                        let pairs = base + row / 2 * block
                        for index in 0..<count {
                            let bits = pairs[index].bitPattern
                            target[index] = Float(bitPattern: row % 2 == 0 ? bits << 16 : bits & 0xFFFF_0000)
                        }
                    }
                }
            }
        }
    }

    fileprivate func block(ofOutput output: Int) -> UnsafePointer<Float> {
        precondition(output % Self.blockOutputs == 0, "products begin at a block of outputs")
        return UnsafePointer(storage.base + output * steps)
    }
}

/// Rows X [rows][inputs] in the kernel's precision.
package struct PackedRows: @unchecked Sendable {
    package let rows: Int
    package let inputs: Int
    fileprivate let precision: Precision
    fileprivate let base: UnsafePointer<Float>
    fileprivate let stride: Int
}

extension AttentionKernel {
    /// 32-bit elements of room that `packed` needs.
    package func packedElements(rows: Int, inputs: Int) -> Int { precision == .fp32 ? 0 : rows * tiles.steps(inputs) }

    /// Rows ready for `multiply`: in place in FP32, rounded into `room` in BF16; valid while both stand.
    package func packed(
        _ x: UnsafePointer<Float>, rows: Int, inputs: Int, room: UnsafeMutablePointer<Float>
    ) -> PackedRows {
        if precision == .fp32 { return PackedRows(rows: rows, inputs: inputs, precision: precision, base: x, stride: inputs) }
        tiles.pack_keys(x, inputs, nil, Int32(rows), Int32(inputs), room)
        return PackedRows(
            rows: rows, inputs: inputs, precision: precision, base: UnsafePointer(room), stride: tiles.steps(inputs))
    }

    /// Y = X · Wᵀ, or Y += X · Wᵀ, for some outputs of W. Runs on the calling thread; sums are FP32.
    ///
    /// Shapes: y [rows][...] with `stride` floats between rows, its first column is the first of `outputs` (all when nil).
    package func multiply(
        _ x: PackedRows, _ matrix: PackedMatrix, outputs: Range<Int>? = nil, into y: UnsafeMutablePointer<Float>, stride: Int,
        adding: Bool = false
    ) {
        let outputs = outputs ?? 0..<matrix.outputs
        precondition(matrix.precision == precision && x.precision == precision, "rows and matrix must be packed for the kernel")
        precondition(matrix.inputs == x.inputs && outputs.upperBound <= matrix.outputs, "rows and outputs must be the matrix's")
        precondition(stride >= outputs.count, "a row of results must hold the outputs")
        tiles.multiply(
            x.base, x.stride, Int32(x.rows), matrix.block(ofOutput: outputs.lowerBound), Int32(x.inputs), Int32(outputs.count), y, stride,
            adding ? 1 : 0)
    }
}
