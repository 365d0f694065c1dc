import AttentionCore
import AttentionKernels

/// A mixture of experts, taken back: which experts run is taken as given, their shares are not.
///
/// With y_e what expert e makes of a row and s_e its share, the output is Σ s_e · y_e; shares are a softmax of the router's scores.
final class MixtureBackward: FeedForwardBackward {
    /// One expert's rows of the tile.
    private struct Part {
        let expert: Int
        let rows: [Int]
        let shares: [Float]
        /// [rows][width] each, see `RowGradients.activation`, and [rows][hidden] what the expert made of them.
        let toGate, toUp, outputs: [Float]
    }

    private let tile: BackwardTile
    private let rows, hidden: Int
    private let router: (own: DecoderWeights.Projection, turned: PackedMatrix)
    private let experts: [(own: DecoderWeights.Gated, turned: TransposedBranches.Gated)]
    private let description: ExpertsDescription
    /// Of every row and expert, [rows][experts].
    private let probabilities: [Float]
    private var parts: [Part] = []

    init(
        _ tile: BackwardTile, rows: Int, gradients: RowGradients, router: (DecoderWeights.Projection, PackedMatrix),
        experts: [(DecoderWeights.Gated, TransposedBranches.Gated)], _ description: ExpertsDescription
    ) {
        (self.tile, self.rows, self.router, self.experts, self.description) = (tile, rows, router, experts, description)
        hidden = router.0.inputs
        var scores = [Float](repeating: 0, count: rows * description.count)
        scores.withUnsafeMutableBufferPointer {
            tile.multiply(tile.normed, rows: rows, router.0, into: $0.baseAddress!)
        }
        let routes = (0..<rows).map { row in
            scores.withUnsafeBufferPointer {
                Decoder.route(UnsafeBufferPointer(rebasing: $0[row * description.count..<(row + 1) * description.count]), description)
            }
        }
        probabilities = Self.probabilities(scores, experts: description.count)
        let normed = tile.normed
        for expert in 0..<description.count {
            let chosen = routes.enumerated().flatMap { row, route in
                route.filter { $0.expert == expert }.map { (row: row, share: $0.share) }
            }
            if !chosen.isEmpty { parts.append(part(expert, chosen, normed: normed, gradients: gradients)) }
        }
    }

    private static func probabilities(_ scores: [Float], experts: Int) -> [Float] {
        stride(from: 0, to: scores.count, by: experts).flatMap { first in
            let own = scores[first..<first + experts]
            let highest = own.max()!
            let powers = own.map { exponential($0 - highest) }
            let sum = powers.reduce(0, +)
            return powers.map { $0 / sum }
        }
    }

    private func part(_ expert: Int, _ chosen: [(row: Int, share: Float)], normed: UnsafePointer<Float>, gradients: RowGradients) -> Part {
        let (own, width, count) = (experts[expert].own, description.width, chosen.count)
        // Into `branch`, for `normed` is still read.
        for (index, one) in chosen.enumerated() {
            (tile.branch + index * hidden).update(from: normed + one.row * hidden, count: hidden)
        }
        tile.multiply(tile.branch, rows: count, own.gate, into: tile.toGate)
        tile.multiply(tile.branch, rows: count, own.up, into: tile.toUp)
        gradients.activation(
            description.activation, toGate: tile.toGate, toUp: tile.toUp, value: tile.value, count: count * width)
        tile.multiply(tile.value, rows: count, own.down, into: tile.branch)
        func copy(_ from: UnsafePointer<Float>, _ floats: Int) -> [Float] { Array(UnsafeBufferPointer(start: from, count: floats)) }
        return Part(
            expert: expert, rows: chosen.map(\.row), shares: chosen.map(\.share), toGate: copy(tile.toGate, count * width),
            toUp: copy(tile.toUp, count * width), outputs: copy(tile.branch, count * hidden))
    }

    func output(into target: UnsafeMutablePointer<Float>) {
        target.update(repeating: 0, count: rows * hidden)
        for part in parts {
            for (index, row) in part.rows.enumerated() {
                for at in 0..<hidden { target[row * hidden + at] += part.shares[index] * part.outputs[index * hidden + at] }
            }
        }
    }

    func takeBack(_ gradient: UnsafeMutablePointer<Float>) {
        var sums = [Float](repeating: 0, count: rows * hidden)
        // Of the shares, [rows][experts].
        var shares = [Float](repeating: 0, count: rows * description.count)
        let gathered = AlignedBuffer<Float>(count: rows * hidden)
        let back = AlignedBuffer<Float>(count: rows * hidden)
        for part in parts {
            let (turned, width) = (experts[part.expert].turned, description.width)
            for (index, row) in part.rows.enumerated() {
                let own = gradient + row * hidden
                shares[row * description.count + part.expert] = part.outputs.withUnsafeBufferPointer {
                    RowGradients.dot(own, $0.baseAddress! + index * hidden, count: hidden)
                }
                for at in 0..<hidden { gathered.base[index * hidden + at] = part.shares[index] * own[at] }
            }
            tile.multiply(gathered.base, rows: part.rows.count, turned.down, into: tile.wide)
            for index in 0..<part.rows.count * width {
                let own = tile.wide[index]
                tile.wide[index] = own * part.toGate[index]
                tile.value[index] = own * part.toUp[index]
            }
            tile.multiply(tile.wide, rows: part.rows.count, turned.gate, into: back.base)
            tile.multiply(tile.value, rows: part.rows.count, turned.up, into: back.base, adding: true)
            for (index, row) in part.rows.enumerated() {
                for at in 0..<hidden { sums[row * hidden + at] += back.base[index * hidden + at] }
            }
        }
        var scores = scoreGradients(shares)
        scores.withUnsafeMutableBufferPointer { tile.multiply($0.baseAddress!, rows: rows, router.turned, into: gradient) }
        for index in 0..<rows * hidden { gradient[index] += sums[index] }
    }

    /// From the gradients of active experts' shares to those of all scores.
    ///
    /// A share s_e is p_e, or p_e / Σ over the active p where shares are normalised over these; then ds = s ⊙ (g − Σ s · g) over the active.
    private func scoreGradients(_ shares: [Float]) -> [Float] {
        let count = description.count
        let isOverAll = description.shares == .softmaxOverAll(normalised: false)
        var result = [Float](repeating: 0, count: rows * count)
        var active = [Float](repeating: 0, count: rows * count)
        for part in parts { for (index, row) in part.rows.enumerated() { active[row * count + part.expert] = part.shares[index] } }
        for row in 0..<rows {
            let range = row * count..<(row + 1) * count
            let mean = range.reduce(Float(0)) { $0 + active[$1] * shares[$1] }
            for index in range {
                // An expert that is not active has no share to change, but takes from the others' where the softmax is over all.
                let weight = isOverAll ? probabilities[index] : active[index]
                result[index] = weight * ((active[index] > 0 ? shares[index] : 0) - mean)
            }
        }
        return result
    }
}
