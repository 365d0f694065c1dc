import AttentionCore
import AttentionKernels

/// The matrices of a layer's branches the other way round: products with them take gradients from a projection's outputs to its inputs.
/// Made when they are needed and dropped after it, so that a backward pass holds a part of one layer twice and not the model.
struct TransposedBranches {
    struct Gated {
        let gate, up, down: PackedMatrix

        init(_ own: DecoderWeights.Gated, kernel: AttentionKernel) throws(InputError) {
            gate = try own.gate.matrix.transposed(kernel: kernel)
            up = try own.up.matrix.transposed(kernel: kernel)
            down = try own.down.matrix.transposed(kernel: kernel)
        }
    }

    enum FeedForward {
        case gated(Gated)
        case plain(up: PackedMatrix, down: PackedMatrix)
        case experts(router: PackedMatrix, [Gated])
    }

    /// Of the attention's output projection.
    let output: PackedMatrix
    let feedForward: FeedForward

    /// - Throws: `InputError` (`systemFailure`) when the system does not give the memory.
    init(_ own: DecoderWeights.Layer, kernel: AttentionKernel) throws(InputError) {
        output = try own.output.matrix.transposed(kernel: kernel)
        switch own.feedForward {
        case .gated(let gated): feedForward = .gated(try Gated(gated, kernel: kernel))
        case .plain(let up, let down):
            feedForward = .plain(up: try up.matrix.transposed(kernel: kernel), down: try down.matrix.transposed(kernel: kernel))
        case .experts(let router, let experts):
            var turned: [Gated] = []
            for expert in experts { turned.append(try Gated(expert, kernel: kernel)) }
            feedForward = .experts(router: try router.matrix.transposed(kernel: kernel), turned)
        }
    }
}

/// The same of the projections that attention reads.
struct TransposedInputs {
    let query, key, value: PackedMatrix

    /// - Throws: `InputError` (`systemFailure`) when the system does not give the memory.
    init(_ own: DecoderWeights.Layer, kernel: AttentionKernel) throws(InputError) {
        query = try own.query.matrix.transposed(kernel: kernel)
        key = try own.key.matrix.transposed(kernel: kernel)
        value = try own.value.matrix.transposed(kernel: kernel)
    }
}
