import AttentionCore
import AttentionKernels
import Parallelism
import Reporting

/// Times Y = X · Wᵀ of one shape with packed weights, spread over the threads by tiles of rows.
package struct GemmBench {
    let shape: Shape
    let kernel: AttentionKernel
    let rounds: Int
    let seed: UInt64

    package init(shape: Shape, kernel: AttentionKernel, rounds: Int, seed: UInt64) {
        (self.shape, self.kernel, self.rounds, self.seed) = (shape, kernel, rounds, seed)
    }

    package struct Shape: Sendable {
        package let rows, inputs, outputs: Int

        package init(rows: Int, inputs: Int, outputs: Int) { (self.rows, self.inputs, self.outputs) = (rows, inputs, outputs) }
    }

    package struct Row: BenchRow {
        let library, precision, isa: String
        let threads, rows, inputs, outputs: Int
        let milliseconds, millisecondsLeast, millisecondsMost, gigaflops, peakGigaflops, shareOfPeak, maxError: Double

        package static let titles = ["library", "rows", "inputs", "outputs", "ms", "least", "most", "GFLOP/s", "of peak", "error"]
        package var cells: [String] {
            [
                library, "\(rows)", "\(inputs)", "\(outputs)", NumberFormat.fixed(milliseconds, decimals: 2),
                NumberFormat.fixed(millisecondsLeast, decimals: 2), NumberFormat.fixed(millisecondsMost, decimals: 2),
                NumberFormat.fixed(gigaflops, decimals: 1), NumberFormat.percent(shareOfPeak),
                NumberFormat.significant(maxError, digits: 2),
            ]
        }
    }

    /// A row a library: the project's own product, and in FP32 OpenBLAS's on the same tiles.
    ///
    /// - Throws: `InputError` (`internalFailure`) when a product is wrong, so that a wrong one is never timed.
    package func run(peak: Double) throws(InputError) -> [Row] {
        let product = try BenchedProduct(shape: shape, kernel: kernel, seed: seed)
        let libraries = kernel.precision == .fp32 ? ["own", "openblas"] : ["own"]
        func execute(_ index: Int) { index == 0 ? product.multiplyPacked() : product.multiplyByBlas() }
        var errors: [Double] = []
        for (index, library) in libraries.enumerated() {
            execute(index)
            let error = product.error()
            // Operands of order 1: FP32 rounds sums of `inputs` terms, BF16 each operand by up to 2⁻⁸.
            let limit = kernel.precision == .fp32 ? 1e-5 * Double(shape.inputs).squareRoot() : 0x1p-7
            guard error < limit else {
                throw InputError(
                    .internalFailure, field: library, value: "\(error)", rule: "must agree with sums in double precision to \(limit)")
            }
            errors.append(error)
        }
        return zip(libraries.indices, Timing.alternating(libraries.count, rounds: rounds, execute)).map { index, timing in
            let gigaflops = 2 * Double(shape.rows) * Double(shape.inputs) * Double(shape.outputs) / timing.median / 1e6
            return Row(
                library: libraries[index], precision: kernel.precision.rawValue, isa: kernel.instructionSet.rawValue,
                threads: kernel.pool.threads, rows: shape.rows, inputs: shape.inputs, outputs: shape.outputs,
                milliseconds: timing.median, millisecondsLeast: timing.least, millisecondsMost: timing.most, gigaflops: gigaflops,
                peakGigaflops: peak, shareOfPeak: gigaflops / peak, maxError: errors[index])
        }
    }
}
