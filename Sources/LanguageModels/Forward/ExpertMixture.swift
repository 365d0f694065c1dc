import AttentionCore
import AttentionKernels
import Parallelism

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Memory that layers with a mixture of experts work in, of as many rows as are run together.
final class ExpertBuffers: @unchecked Sendable {  // Workers write places of their own.
    /// Rows of one batch: enough that an expert gets tiles of rows and its weights are read seldom, few enough for memory.
    let rows: Int
    let active: Int
    /// [rows][hidden]: normed rows, from which experts gather theirs.
    let normed: AlignedBuffer<Float>
    /// [row][slot][hidden]: what each active expert of a row made of it, times its share.
    let outputs: AlignedBuffer<Float>

    /// - Throws: `InputError` (`systemFailure`) when the system does not give the memory.
    init(hiddenSize: Int, active: Int, tokens: Int) throws(InputError) {
        rows = min(tokens, 1024)
        self.active = active
        normed = try AlignedBuffer(extents: rows, hiddenSize, of: "rows of experts")
        outputs = try AlignedBuffer(extents: rows, active, hiddenSize, of: "outputs of experts")
    }
}

/// Which rows an expert runs, and where their results go.
private struct ExpertTask: Sendable {
    let expert: Int
    /// Of the batch.
    let rows: [Int]
    let slots: [Int]
    let shares: [Float]
}

extension Decoder {
    /// Adds the feed-forward of a layer whose experts a router picks, batch after batch.
    func addExperts(
        _ layer: Int, router: DecoderWeights.Projection, experts: [DecoderWeights.Gated], count: Int, hidden: UnsafeMutablePointer<Float>,
        buffers: ForwardBuffers
    ) {
        guard case .experts(let own) = description.layers[layer].feedForward, let room = buffers.experts else {
            preconditionFailure("weights follow the description")
        }
        for first in stride(from: 0, to: count, by: room.rows) {
            let rows = min(room.rows, count - first)
            let residual = hidden + first * description.hiddenSize
            let routes = route(layer, own, router: router, rows: rows, residual: residual, buffers: buffers, room: room)
            run(tasks(routes, own), own, experts, rows: rows, buffers: buffers, room: room)
            addSums(layer, active: own.active, rows: rows, residual: residual, buffers: buffers, room: room)
        }
    }

    /// The active experts of a row and their shares.
    typealias Route = [(expert: Int, share: Float)]

    private func route(
        _ layer: Int, _ own: ExpertsDescription, router: DecoderWeights.Projection, rows: Int, residual: UnsafeMutablePointer<Float>,
        buffers: ForwardBuffers, room: ExpertBuffers
    ) -> [Route] {
        let size = description.hiddenSize
        let stream = SharedPointer(residual)
        let normed = SharedPointer(room.normed.base)
        let scores = AlignedBuffer<Float>(count: rows * own.count)
        let target = SharedPointer(scores.base)
        let tiles = ForwardTiles(buffers, count: rows, kernel: kernel)
        forEachTile(rows) { worker, row, rows in
            let tile = tiles[worker]
            let target = target.base + row * own.count
            norm(weights.layers[layer].normBeforeFeedForward, stream.base + row * size, rows: rows, into: normed.base + row * size)
            multiply(tile, tile.packed(normed.base + row * size, rows: rows, inputs: size), router, into: target)
        }
        return (0..<rows).map { Self.route(UnsafeBufferPointer(rebasing: scores.elements[$0 * own.count..<($0 + 1) * own.count]), own) }
    }

    /// The best experts by score, the lower index first among equals.
    static func route(_ scores: UnsafeBufferPointer<Float>, _ own: ExpertsDescription) -> Route {
        let best = scores.indices.sorted { (scores[$0], $1) > (scores[$1], $0) }.prefix(own.active)
        let highest = scores[best[0]]
        let powers = best.map { expf(scores[$0] - highest) }
        let sum: Float
        switch own.shares {
        case .softmaxOverActive, .softmaxOverAll(normalised: true): sum = powers.reduce(0, +)
        case .softmaxOverAll(normalised: false): sum = scores.reduce(0) { $0 + expf($1 - highest) }
        }
        return zip(best, powers).map { ($0, $1 / sum) }
    }

    /// Each expert's rows in tiles.
    private func tasks(_ routes: [Route], _ own: ExpertsDescription) -> [ExpertTask] {
        var rows = [[(row: Int, slot: Int, share: Float)]](repeating: [], count: own.count)
        for (row, route) in routes.enumerated() {
            for (slot, choice) in route.enumerated() { rows[choice.expert].append((row, slot, choice.share)) }
        }
        return rows.enumerated().flatMap { expert, all in
            stride(from: 0, to: all.count, by: Self.tileRows).map { first in
                let part = all[first..<min(first + Self.tileRows, all.count)]
                return ExpertTask(expert: expert, rows: part.map(\.row), slots: part.map(\.slot), shares: part.map(\.share))
            }
        }
    }

    private func run(
        _ tasks: [ExpertTask], _ own: ExpertsDescription, _ experts: [DecoderWeights.Gated], rows: Int, buffers: ForwardBuffers,
        room: ExpertBuffers
    ) {
        let size = description.hiddenSize
        // Fewer tasks than threads: all threads share each product.
        let isAlone = tasks.count < pool.threads
        let tiles = ForwardTiles(buffers, isAlone: isAlone, kernel: kernel)
        @Sendable func run(_ task: ExpertTask, _ tile: ForwardTile) {
            let expert = experts[task.expert]
            for (index, row) in task.rows.enumerated() {
                (tile.normed + index * size).update(from: room.normed.base + row * size, count: size)
            }
            multiplyGated(tile, tile.packed(tile.normed, rows: task.rows.count, inputs: size), expert, own.activation)
            multiply(tile, tile.packed(tile.first, rows: task.rows.count, inputs: own.width), expert.down, into: tile.branch)
            for (index, row) in task.rows.enumerated() {
                let target = room.outputs.base + (row * room.active + task.slots[index]) * size
                let source = tile.branch + index * size
                for at in 0..<size { target[at] = task.shares[index] * source[at] }
            }
        }
        if isAlone {
            for task in tasks { run(task, tiles[0]) }
        } else {
            pool.run(tasks.count) { worker, index in run(tasks[index], tiles[worker]) }
        }
    }

    /// Adds each row's outputs up, in the order of its experts' scores, and to the stream.
    private func addSums(
        _ layer: Int, active: Int, rows: Int, residual: UnsafeMutablePointer<Float>, buffers: ForwardBuffers, room: ExpertBuffers
    ) {
        let size = description.hiddenSize
        let stream = SharedPointer(residual)
        let tiles = ForwardTiles(buffers, count: rows, kernel: kernel)
        forEachTile(rows) { worker, row, rows in
            let branch = tiles[worker].branch
            for index in 0..<rows {
                let source = room.outputs.base + (row + index) * room.active * size
                let target = branch + index * size
                target.update(from: source, count: size)
                for slot in 1..<max(active, 1) { for at in 0..<size { target[at] += source[slot * size + at] } }
            }
            add(layer, branch, rows: rows, norm: weights.layers[layer].normAfterFeedForward, to: stream.base + row * size)
        }
    }
}
