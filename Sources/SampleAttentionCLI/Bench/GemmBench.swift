import ArgumentParser
import AttentionCore
import AttentionKernels
import LinearAlgebra
import Parallelism
import Reporting
import RunProvenance
import SampleAttention

/// `bench gemm`: the products of projections and MLPs.
struct GemmBenchCommand: MachineCommand {
    static let configuration = CommandConfiguration(
        commandName: "gemm", abstract: "Time Y = X · Wᵀ with packed weights, spread over the threads by tiles of rows.",
        discussion: "In FP32 each shape is also timed with OpenBLAS on the same tiles. Rounds alternate.")

    @OptionGroup var machine: MachineOptions

    @Option(
        help: ArgumentHelp(
            "Rows × inputs × outputs; repeatable (default: the bundled model's and an 8-billion-parameter Llama's MLP).", valueName: "RxIxO"
        ))
    var shape: [String] = []

    @Option(help: "Timed rounds.")
    var rounds = 5

    struct Shape {
        let rows, inputs, outputs: Int

        init(_ text: String) throws(InputError) {
            let numbers = text.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
            guard numbers.count == 3, numbers.allSatisfy({ (1...1 << 20).contains($0) }) else {
                throw InputError(.usage, field: "shape", value: text, rule: "must be ROWSxINPUTSxOUTPUTS, each from 1 to \(1 << 20)")
            }
            (rows, inputs, outputs) = (numbers[0], numbers[1], numbers[2])
        }
    }

    struct Row: BenchRow {
        let library, precision, isa: String
        let threads, rows, inputs, outputs: Int
        let milliseconds, millisecondsLeast, millisecondsMost, gigaflops, peakGigaflops, shareOfPeak, maxError: Double

        static let titles = ["library", "rows", "inputs", "outputs", "ms", "least", "most", "GFLOP/s", "of peak", "error"]
        var cells: [String] {
            [
                library, "\(rows)", "\(inputs)", "\(outputs)", NumberFormat.fixed(milliseconds, decimals: 2),
                NumberFormat.fixed(millisecondsLeast, decimals: 2), NumberFormat.fixed(millisecondsMost, decimals: 2),
                NumberFormat.fixed(gigaflops, decimals: 1), NumberFormat.percent(shareOfPeak),
                NumberFormat.significant(maxError, digits: 2),
            ]
        }
    }

    func run() throws {
        _ = try ParameterOptions.count(rounds, "rounds", atLeast: 1)
        let standard = ["8192x384x896", "8192x896x384", "512x4096x14336", "512x14336x4096"]
        let shapes = try (shape.isEmpty ? standard : shape).map { text throws(InputError) in try Shape(text) }
        let kernel = try machine.makeKernel()
        let peak = MachinePeak(kernel: kernel).gigaflops(kernel.precision)
        var results: [Row] = []
        for shape in shapes { results += try measure(shape, kernel: kernel, peak: peak) }
        BenchResult(provenance: Provenance(kernel: kernel, seed: machine.seed), results: results).show(json: machine.json)
    }

    private func measure(_ shape: Shape, kernel: AttentionKernel, peak: Double) throws(InputError) -> [Row] {
        let product = try BenchedProduct(shape: shape, kernel: kernel, seed: machine.seed)
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

/// One product with random operands.
private final class BenchedProduct: @unchecked Sendable {
    private static let tileRows = PackedMatrix.tileRows
    private let shape: GemmBenchCommand.Shape
    private let kernel: AttentionKernel
    private let x, w, y, rooms: AlignedBuffer<Float>
    private let packed: PackedMatrix
    private let roomElements: Int

    /// - Throws: `InputError` (`systemFailure`) when the system does not give the memory.
    init(shape: GemmBenchCommand.Shape, kernel: AttentionKernel, seed: UInt64) throws(InputError) {
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
