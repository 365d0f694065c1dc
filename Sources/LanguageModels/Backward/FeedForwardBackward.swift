import AttentionKernels

/// The feed-forward of a tile's normed rows, run once and taken back for one label set after the other.
protocol FeedForwardBackward {
    /// What the feed-forward gives, [rows][hidden]; to be asked for before anything is taken back.
    func output(into target: UnsafeMutablePointer<Float>)

    /// Gradients at what it gives become those at its input: [rows][hidden].
    func takeBack(_ gradient: UnsafeMutablePointer<Float>)
}

/// down(act(gate(x)) · up(x)).
struct GatedBackward: FeedForwardBackward {
    private let tile: BackwardTile
    private let rows: Int
    private let gated: DecoderWeights.Gated
    private let turned: TransposedBranches.Gated

    init(
        _ tile: BackwardTile, rows: Int, gradients: RowGradients, _ gated: DecoderWeights.Gated, _ turned: TransposedBranches.Gated,
        _ activation: Activation
    ) {
        (self.tile, self.rows, self.gated, self.turned) = (tile, rows, gated, turned)
        tile.multiply(tile.normed, rows: rows, gated.gate, into: tile.toGate)
        tile.multiply(tile.normed, rows: rows, gated.up, into: tile.toUp)
        gradients.activation(activation, toGate: tile.toGate, toUp: tile.toUp, value: tile.value, count: rows * gated.gate.outputs)
    }

    func output(into target: UnsafeMutablePointer<Float>) { tile.multiply(tile.value, rows: rows, gated.down, into: target) }

    func takeBack(_ gradient: UnsafeMutablePointer<Float>) {
        tile.multiply(gradient, rows: rows, turned.down, into: tile.wide)
        for index in 0..<rows * gated.gate.outputs {
            let own = tile.wide[index]
            tile.wide[index] = own * tile.toGate[index]
            tile.value[index] = own * tile.toUp[index]
        }
        tile.multiply(tile.wide, rows: rows, turned.gate, into: gradient)
        tile.multiply(tile.value, rows: rows, turned.up, into: gradient, adding: true)
    }
}

/// down(act(up(x))).
struct PlainBackward: FeedForwardBackward {
    private let tile: BackwardTile
    private let rows: Int
    private let down: DecoderWeights.Projection
    private let turned: (up: PackedMatrix, down: PackedMatrix)

    init(
        _ tile: BackwardTile, rows: Int, gradients: RowGradients, _ own: (up: DecoderWeights.Projection, down: DecoderWeights.Projection),
        _ turned: (up: PackedMatrix, down: PackedMatrix), _ activation: Activation
    ) {
        (self.tile, self.rows, self.turned, down) = (tile, rows, turned, own.down)
        let count = rows * own.up.outputs
        tile.multiply(tile.normed, rows: rows, own.up, into: tile.toGate)
        // A gate whose other side is one.
        tile.toUp.update(repeating: 1, count: count)
        gradients.activation(activation, toGate: tile.toGate, toUp: tile.toUp, value: tile.value, count: count)
    }

    func output(into target: UnsafeMutablePointer<Float>) { tile.multiply(tile.value, rows: rows, down, into: target) }

    func takeBack(_ gradient: UnsafeMutablePointer<Float>) {
        tile.multiply(gradient, rows: rows, turned.down, into: tile.wide)
        for index in 0..<rows * down.inputs { tile.wide[index] *= tile.toGate[index] }
        tile.multiply(tile.wide, rows: rows, turned.up, into: gradient)
    }
}
