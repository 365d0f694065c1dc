import AttentionCore
import AttentionKernels
import Parallelism

/// From labels to gradients at the residual stream after the last layer: through the scores of every position and the final norm.
///
/// With z the scores and p their softmax, ∂ log p_y / ∂z = e_y − p; see `GradientLabels.fisher` for what stands in its place there.
struct HeadBackward: @unchecked Sendable {  // Workers write rows of their own.
    let model: LanguageModel
    let tokens: [Int32]
    /// [tokens][hidden], after the last layer, before the final norm.
    let stream: UnsafeMutablePointer<Float>

    private var decoder: Decoder { model.decoder }
    private var size: Int { model.description.hiddenSize }
    private var vocabulary: Int { model.description.vocabularySize }

    /// - Parameter gradients: one [tokens][hidden] for each label set, written.
    /// - Throws: `InputError`: `usage` for labels that do not fit the prompt, `invalidData` where a score is not finite, `systemFailure` when
    ///   the system does not give the memory.
    /// Complexity: the scores of every position once, and as much again for each label set.
    func run(_ labels: [GradientLabels], into gradients: [SharedPointer<Float>]) throws(InputError) {
        for set in labels { try check(set) }
        let tile = model.scoredRows(of: tokens.count)
        let purpose = "scores of \(tile) positions"
        let logits = try AlignedBuffer<Float>(extents: tile, vocabulary, of: purpose)
        let changes = try AlignedBuffer<Float>(extents: tile, vocabulary, of: purpose)
        let normed = try AlignedBuffer<Float>(extents: tile, size, of: purpose)
        let head = try decoder.weights.head.transposed(kernel: model.kernel)
        let roomFloats = model.kernel.packedElements(rows: Decoder.tileRows, inputs: vocabulary)
        let rooms = try AlignedBuffer<Float>(extents: model.kernel.pool.threads, roomFloats, of: purpose)
        let packed = decoder.makeLogitBuffers()
        for start in stride(from: 0, to: tokens.count, by: tile) {
            let rows = min(tile, tokens.count - start)
            decoder.norm(decoder.weights.finalNorm, stream + start * size, rows: rows, into: normed.base)
            decoder.logits(hidden: normed.base, rows: rows, into: logits.base, rooms: packed)
            let (scores, targets) = (SharedPointer(logits.base), SharedPointer(changes.base))
            let areFinite = model.kernel.pool.map(rows) { [vocabulary] row in
                UnsafeBufferPointer(start: scores.base + row * vocabulary, count: vocabulary).areFinite
            }
            try model.checkFinite(areFinite, scores: logits.base, firstPosition: start)
            for (set, gradient) in zip(labels, gradients) {
                model.kernel.pool.run(rows) { _, row in
                    change(set, position: start + row, logits: scores.base + row * vocabulary, into: targets.base + row * vocabulary)
                }
                let target = SharedPointer(gradient.base + start * size)
                let room = SharedPointer(rooms.base)
                decoder.forEachTile(rows) { worker, row, count in
                    let input = model.kernel.packed(
                        targets.base + row * vocabulary, rows: count, inputs: vocabulary, room: room.base + worker * roomFloats)
                    model.kernel.multiply(input, head, into: target.base + row * size, stride: size)
                }
            }
        }
        throughFinalNorm(gradients)
    }

    private func throughFinalNorm(_ gradients: [SharedPointer<Float>]) {
        let step = RowGradients(kernels: decoder.rowKernels, norm: model.description.norm)
        let source = SharedPointer(stream)
        for gradient in gradients {
            decoder.forEachTile(tokens.count) { _, first, rows in
                for row in first..<first + rows {
                    step.throughNorm(
                        source.base + row * size, weight: decoder.weights.finalNorm.base, count: size, gradient: gradient.base + row * size)
                }
            }
        }
    }

    private func check(_ set: GradientLabels) throws(InputError) {
        for span in set.positions ?? [] where span.lowerBound < 0 || span.upperBound > tokens.count {
            throw InputError(.usage, field: "positions", value: "\(span)", rule: "must lie within the prompt's \(tokens.count)")
        }
        guard case .given(let labels) = set.source else { return }
        guard labels.count == tokens.count, labels.allSatisfy({ (0..<Int32(vocabulary)).contains($0) }) else {
            throw InputError(
                .usage, field: "labels", value: "\(labels.count)",
                rule: "must be a token of the vocabulary for each of \(tokens.count) tokens")
        }
    }

    /// The gradient of one position's part of the sum with respect to what the head's matrix gives, before it is scaled and capped.
    private func change(
        _ set: GradientLabels, position: Int, logits: UnsafePointer<Float>, into target: UnsafeMutablePointer<Float>
    ) {
        let counts = set.positions?.contains { $0.contains(position) } ?? true
        if !counts || isWithoutLabel(set, position) { return target.update(repeating: 0, count: vocabulary) }
        target.update(from: logits, count: vocabulary)
        let row = LogitRow(exponentiating: target, count: vocabulary, kernels: decoder.rowKernels)
        if case .fisher(let seed) = set.source {
            var generator = SeededGenerator.derived(seed: seed, position)
            informationRoot(of: row, powers: target, &generator)
        } else {
            let inverse = -1 / row.sum
            for index in 0..<vocabulary { target[index] *= inverse }
            target[label(set, position: position)] += 1
        }
        let head = model.description.head
        if let cap = head.softCap.map(Float.init) {
            for index in 0..<vocabulary {
                let share = logits[index] / cap
                target[index] *= 1 - share * share
            }
        }
        if head.scale != 1 { for index in 0..<vocabulary { target[index] *= Float(head.scale) } }
    }

    private func isWithoutLabel(_ set: GradientLabels, _ position: Int) -> Bool {
        if case .text = set.source { position + 1 == tokens.count } else { false }
    }

    private func label(_ set: GradientLabels, position: Int) -> Int {
        switch set.source {
        case .text: Int(tokens[position + 1])
        case .given(let labels): Int(labels[position])
        case .fisher: preconditionFailure("a mix of all labels")
        }
    }

    /// √p ⊙ ξ − p (√p · ξ) of one row.
    ///
    /// - Parameter target: holds the powers of `row`, replaced.
    private func informationRoot(of row: LogitRow, powers target: UnsafeMutablePointer<Float>, _ generator: inout SeededGenerator) {
        let inverse = 1 / row.sum
        for start in stride(from: 0, to: vocabulary, by: 64) {
            let signs = generator.next()
            for index in start..<min(start + 64, vocabulary) {
                let sign = UInt32(truncatingIfNeeded: signs &>> UInt64(index - start)) << 31
                target[index] = Float(bitPattern: (target[index] * inverse).squareRoot().bitPattern ^ sign)
            }
        }
        // The first choice by itself: of a sure model 1 − p is the sum of all others, which is lost in a difference.
        let choice = Int(row.choice)
        let first = target[choice]
        target[choice] = 0
        let (sum, rest) = (RowGradients.sum(target, count: vocabulary), RowGradients.dot(target, target, count: vocabulary))
        let total = sum + first
        for index in 0..<vocabulary { target[index] -= target[index] * target[index] * total }
        target[choice] = first * rest - first * first * sum
    }
}
