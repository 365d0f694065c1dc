import AttentionCore
import AttentionKernels
import LinearAlgebra
import SampleAttention

/// Times attention on random heads of one shape, after checking the answer against the scalar reference.
struct AttentionBench {
    enum Kind: String {
        case dense
        case windowColumns = "window-columns"
        case blasTiles = "openblas-tiles"
    }

    struct Row: Encodable {
        let pattern, precision, isa: String
        let threads, length, queryHeads, keyValueHeads, headDimension: Int
        let density, milliseconds, millisecondsLeast, millisecondsMost, gigaflops: Double
        /// Largest difference from the scalar reference on the checked prefix, relative to the largest output.
        let maxError: Double
    }

    private let shape: AttentionShape
    private let kernel: AttentionKernel
    private let density: Fraction
    private let seed: UInt64

    init(shape: AttentionShape, kernel: AttentionKernel, density: Fraction, seed: UInt64) {
        self.shape = shape
        self.kernel = kernel
        self.density = density
        self.seed = seed
    }

    func run(_ kinds: [Kind], rounds: Int) throws(InputError) -> [Row] {
        var errors: [Double] = []
        for kind in kinds { errors.append(try check(kind)) }
        let heads = RandomHeads(shape: shape, seed: seed)
        var works: [(AttentionPlan)] = []
        for kind in kinds { works.append(try AttentionPlan(shape: shape, patterns: patterns(kind, shape: shape))) }
        var times = [[Double]](repeating: [], count: kinds.count)
        let workspace = AttentionWorkspace()
        for round in 0...rounds {
            for (index, kind) in kinds.enumerated() {
                let start = ContinuousClock.now
                execute(kind, plan: works[index], heads: heads, kernel: kernel, workspace: workspace)
                // The first round only warms up.
                if round > 0 { times[index].append((ContinuousClock.now - start).seconds * 1e3) }
            }
        }
        return kinds.indices.map { index in
            let milliseconds = Quantiles.median(times[index])
            let pairs = Double(works[index].keptPairs.reduce(0, +))
            return Row(
                pattern: kinds[index].rawValue, precision: kernel.precision.rawValue, isa: kernel.instructionSet.rawValue,
                threads: kernel.pool.threads,
                length: shape.keyCount, queryHeads: shape.queryHeads, keyValueHeads: shape.keyValueHeads,
                headDimension: shape.headDimension,
                density: works[index].density, milliseconds: milliseconds, millisecondsLeast: times[index].min() ?? .nan,
                millisecondsMost: times[index].max() ?? .nan, gigaflops: pairs * 4 * Double(shape.headDimension) / milliseconds / 1e6,
                maxError: errors[index])
        }
    }

    /// Half of the kept pairs in the window, half in random columns, as far as one row's share allows.
    private func patterns(_ kind: Kind, shape: AttentionShape) -> [SparsePattern] {
        guard kind == .windowColumns else { return Array(repeating: .dense, count: shape.queryHeads) }
        let window = max(1, Int(density.value * Double(shape.keyCount) / 4))
        return (0..<shape.queryHeads).map { head in
            let columns = SamplingPlan.random(
                queryCount: shape.keyCount, count: Int(density.value * Double(shape.keyCount) / 2), seed: seed &+ UInt64(head)
            ).rows
            return .windowColumns(WindowColumns(window: window, columns: columns.map(Int32.init)))
        }
    }

    private func execute(
        _ kind: Kind, plan: AttentionPlan, heads: borrowing RandomHeads, kernel: AttentionKernel, workspace: AttentionWorkspace
    ) {
        switch kind {
        case .dense, .windowColumns:
            kernel.run(plan, query: heads.query, key: heads.key, value: heads.value, output: heads.output, workspace: workspace)
        case .blasTiles:
            BlasTileAttention(kernel: kernel).run(
                shape: plan.shape, query: heads.query, key: heads.key, value: heads.value, output: heads.output)
        }
    }

    /// - Throws: `InputError` (`internalFailure`) when the answer is wrong, so that a wrong kernel is never timed.
    private func check(_ kind: Kind) throws(InputError) -> Double {
        let length = min(shape.keyCount, 700)
        let small = AttentionShape(
            queryHeads: shape.queryHeads, keyValueHeads: shape.keyValueHeads, queryCount: length, keyCount: length,
            headDimension: shape.headDimension)
        let reference = RandomHeads(shape: small, seed: seed)
        let tested = RandomHeads(shape: small, seed: seed)
        let plan = try AttentionPlan(shape: small, patterns: patterns(kind, shape: small))
        let scalar = try AttentionKernel(instructionSet: .scalar, pool: kernel.pool)
        scalar.run(
            plan, query: reference.query, key: reference.key, value: reference.value, output: reference.output,
            workspace: AttentionWorkspace())
        execute(kind, plan: plan, heads: tested, kernel: kernel, workspace: AttentionWorkspace())
        let error = tested.largestDifference(from: reference)
        // FP32: sums of `length` terms of order 1, in another order. BF16: operands off by up to 2⁻⁹.
        let limit = kernel.precision == .fp32 ? 1e-4 : 1.5e-2
        guard error < limit else {
            throw InputError(
                .internalFailure, field: kind.rawValue, value: "\(error)", rule: "must agree with the scalar reference to \(limit)")
        }
        return error
    }
}

/// Random Q, K, V and room for the output, in projection layout.
struct RandomHeads: ~Copyable {
    private let queries, keys, values, outputs: AlignedBuffer<Float>
    private let shape: AttentionShape

    init(shape: AttentionShape, seed: UInt64) {
        self.shape = shape
        var random = SeededGenerator(seed: seed)
        func filled(_ count: Int) -> AlignedBuffer<Float> {
            let buffer = AlignedBuffer<Float>(count: count)
            for index in 0..<count { buffer[index] = Float(random.uniform() * 4 - 2) }
            return buffer
        }
        queries = filled(shape.queryCount * shape.queryHeads * shape.headDimension)
        keys = filled(shape.keyCount * shape.keyValueHeads * shape.headDimension)
        values = filled(shape.keyCount * shape.keyValueHeads * shape.headDimension)
        outputs = AlignedBuffer(count: shape.queryCount * shape.queryHeads * shape.headDimension)
    }

    var query: HeadTensor {
        HeadTensor(projection: queries.base, heads: shape.queryHeads, tokens: shape.queryCount, dimension: shape.headDimension)
    }
    var key: HeadTensor {
        HeadTensor(projection: keys.base, heads: shape.keyValueHeads, tokens: shape.keyCount, dimension: shape.headDimension)
    }
    var value: HeadTensor {
        HeadTensor(projection: values.base, heads: shape.keyValueHeads, tokens: shape.keyCount, dimension: shape.headDimension)
    }
    var output: MutableHeadTensor {
        MutableHeadTensor(projection: outputs.base, heads: shape.queryHeads, tokens: shape.queryCount, dimension: shape.headDimension)
    }

    /// Relative to the other's largest output.
    func largestDifference(from other: borrowing RandomHeads) -> Double {
        var difference: Float = 0
        var largest: Float = 0
        for index in 0..<outputs.count {
            difference = max(difference, abs(outputs[index] - other.outputs[index]))
            largest = max(largest, abs(other.outputs[index]))
        }
        return difference.isNaN ? .infinity : Double(difference / largest)
    }
}
