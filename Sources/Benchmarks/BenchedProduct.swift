import AttentionCore
import AttentionKernels
import LinearAlgebra
import Parallelism

/// One product with random operands.
final class BenchedProduct: @unchecked Sendable {
    private static let tileRows = PackedMatrix.tileRows
    private let shape: GemmBench.Shape
    private let kernel: AttentionKernel
    private let x, w, y, rooms: AlignedBuffer<Float>
    private let packed: PackedMatrix
    private let roomElements: Int

    /// - Throws: `InputError` (`systemFailure`) when the system does not give the memory.
    init(shape: GemmBench.Shape, kernel: AttentionKernel, seed: UInt64) throws(InputError) {
        self.shape = shape
        self.kernel = kernel
        x = try AlignedBuffer(extents: shape.rows, shape.inputs, of: "rows")
        w = try AlignedBuffer(extents: shape.outputs, shape.inputs, of: "weights")
        y = try AlignedBuffer(extents: shape.rows, shape.outputs, of: "outputs")
        var random = SeededGenerator(seed: seed)
        random.fill(x, within: 1)
        random.fill(w, within: 1)
        roomElements = kernel.packedElements(rows: Self.tileRows, inputs: shape.inputs)
        rooms = AlignedBuffer(count: roomElements * kernel.pool.threads)
        packed = PackedMatrix(w.base, outputs: shape.outputs, inputs: shape.inputs, kernel: kernel)
    }

    private func forEachTile(_ body: @Sendable (_ worker: Int, _ row: Int, _ rows: Int) -> Void) {
        let rows = shape.rows
        kernel.pool.run((rows + Self.tileRows - 1) / Self.tileRows) { worker, index in
            body(worker, index * Self.tileRows, min(Self.tileRows, rows - index * Self.tileRows))
        }
    }

    func multiplyPacked() {
        forEachTile { [self] worker, row, rows in
            let input = kernel.packed(
                x.base + row * shape.inputs, rows: rows, inputs: shape.inputs, room: rooms.base + worker * roomElements)
            kernel.multiply(input, packed, into: y.base + row * shape.outputs, stride: shape.outputs)
        }
    }

    func multiplyByBlas() {
        forEachTile { [self] _, row, rows in
            MatrixProduct.multiply(
                rows: rows, columns: shape.outputs, inner: shape.inputs, a: x.base + row * shape.inputs, aStride: shape.inputs, b: w.base,
                bStride: shape.inputs, transposedB: true, into: y.base + row * shape.outputs, cStride: shape.outputs)
        }
    }

    /// Of some results, against double precision, relative to √inputs: what a sum of so many products is about.
    func error() -> Double {
        var worst = 0.0
        for sample in 0..<200 {
            let row = sample * 7919 % shape.rows
            let output = sample * 104729 % shape.outputs
            let exact = (0..<shape.inputs).reduce(0.0) {
                $0 + Double(x[row * shape.inputs + $1]) * Double(w[output * shape.inputs + $1])
            }
            let difference = abs(Double(y[row * shape.outputs + output]) - exact) / Double(shape.inputs).squareRoot()
            worst = difference.isNaN ? .infinity : max(worst, difference)
        }
        return worst
    }
}
