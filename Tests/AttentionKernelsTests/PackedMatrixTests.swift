import AttentionCore
import AttentionKernels
import Parallelism
import Testing

/// Products with packed weights against sums in double precision.
@Suite struct PackedMatrixTests {
    private func random(_ count: Int, _ seed: UInt64) -> [Float] {
        var generator = SeededGenerator(seed: seed)
        return (0..<count).map { _ in Float(generator.uniform() * 2 - 1) }
    }

    /// The same numbers the other way round: products with ones along an axis pick rows and columns.
    @Test(arguments: KernelVariant.all) func transposedMatricesHoldTheSameNumbers(on variant: KernelVariant) throws {
        let own = variant.kernel(threads: 2)
        for (inputs, outputs) in [(1, 1), (45, 150), (64, 64), (129, 63), (70, 65)] {
            let w = random(outputs * inputs, 2)
            let matrix = try PackedMatrix(w, outputs: outputs, inputs: inputs, kernel: own).transposed(kernel: own)
            #expect(matrix.inputs == outputs && matrix.outputs == inputs)
            // Rows of the identity.
            var x = [Float](repeating: 0, count: outputs * outputs)
            for index in 0..<outputs { x[index * outputs + index] = 1 }
            let room = AlignedBuffer<Float>(count: own.packedElements(rows: outputs, inputs: outputs) + 1)
            var y = [Float](repeating: .nan, count: outputs * inputs)
            x.withUnsafeBufferPointer { x in
                let packed = own.packed(x.baseAddress!, rows: outputs, inputs: outputs, room: room.base)
                y.withUnsafeMutableBufferPointer { own.multiply(packed, matrix, into: $0.baseAddress!, stride: inputs) }
            }
            let limit: Float = variant.precision == .fp32 ? 0 : 0x1p-8
            #expect(zip(y, w).allSatisfy { abs($0 - $1) <= limit * abs($1) }, "\(inputs) inputs, \(outputs) outputs")
        }
    }

    @Test(arguments: KernelVariant.all) func productsMatchDoublePrecision(on variant: KernelVariant) throws {
        let (rows, inputs, outputs) = (17, 45, 150)
        let own = variant.kernel(threads: 1)
        let x = random(rows * inputs, 1), w = random(outputs * inputs, 2), start = random(rows * outputs, 3)
        let matrix = PackedMatrix(w, outputs: outputs, inputs: inputs, kernel: own)
        var room = [Float](repeating: 0, count: own.packedElements(rows: rows, inputs: inputs))
        // BF16 rounds both operands by up to 2⁻⁸; |x w| ≤ 1, and half of the worst case is far above what random signs leave.
        let limit = variant.precision == .fp32 ? 1e-5 : 0x1p-8 * Double(inputs)
        for isAdding in [false, true] {
            var y = start
            x.withUnsafeBufferPointer { x in
                room.withUnsafeMutableBufferPointer { room in
                    y.withUnsafeMutableBufferPointer { y in
                        // An empty buffer has no address; FP32 never touches the room.
                        var none: Float = 0
                        let packed = own.packed(
                            x.baseAddress!, rows: rows, inputs: inputs, room: room.baseAddress ?? withUnsafeMutablePointer(to: &none) { $0 }
                        )
                        // In two parts, the second from a block of outputs on.
                        own.multiply(packed, matrix, outputs: 0..<128, into: y.baseAddress!, stride: outputs, adding: isAdding)
                        own.multiply(packed, matrix, outputs: 128..<outputs, into: y.baseAddress! + 128, stride: outputs, adding: isAdding)
                    }
                }
            }
            for row in 0..<rows {
                for output in 0..<outputs {
                    let exact = (0..<inputs).reduce(isAdding ? Double(start[row * outputs + output]) : 0) {
                        $0 + Double(x[row * inputs + $1]) * Double(w[output * inputs + $1])
                    }
                    #expect(abs(Double(y[row * outputs + output]) - exact) < limit)
                }
            }
        }
    }
}
