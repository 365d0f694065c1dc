import AttentionCore
import AttentionKernels

/// One layer's matrices the other way round: products with them take gradients from a projection's outputs to its inputs. Made for a
/// layer's turn and dropped after it, so that a backward pass holds one layer twice and not the model.
struct TransposedLayer {
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

    /// Nil where the gradient ends at the layer's attention.
    struct Inputs {
        let query, key, value: PackedMatrix
    }

    let output: PackedMatrix
    let inputs: Inputs?
    let feedForward: FeedForward

    /// - Throws: `InputError` (`systemFailure`) when the system does not give the memory.
    init(_ own: DecoderWeights.Layer, hasInputs: Bool, kernel: AttentionKernel) throws(InputError) {
        output = try own.output.matrix.transposed(kernel: kernel)
        inputs =
            hasInputs
            ? Inputs(
                query: try own.query.matrix.transposed(kernel: kernel), key: try own.key.matrix.transposed(kernel: kernel),
                value: try own.value.matrix.transposed(kernel: kernel)) : nil
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
