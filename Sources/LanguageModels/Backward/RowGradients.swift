import AttentionCore
import AttentionKernels

/// Gradients through the row operations of a transformer, one row or one tile at a time. Single-threaded.
struct RowGradients {
    let kernels: RowKernels
    let norm: NormDescription

    /// The gradient with respect to x from the one with respect to `norm(x) · weight`: with x̂ = x less its mean where that is removed and
    /// r = 1/√(mean(x̂²) + ε), dx̂ = r · w·g − r³/n · x̂ · Σ x̂·w·g.
    ///
    /// - Parameter gradient: [count], replaced.
    func throughNorm(_ x: UnsafePointer<Float>, weight: UnsafePointer<Float>, count: Int, gradient: UnsafeMutablePointer<Float>) {
        let n = Float(count)
        let mean = norm.removesMean ? RowSum.of(x, count: count) / n : 0
        var squares = RowSum(), products = RowSum()
        squares.add(count) { lanes, at in
            let centred = lanes(x, at) - mean
            return centred * centred
        }
        products.add(count) { lanes, at in (lanes(x, at) - mean) * lanes(weight, at) * lanes(UnsafePointer(gradient), at) }
        let inverse = 1 / (squares.total / n + Float(norm.epsilon)).squareRoot()
        let share = inverse * inverse * inverse / n * products.total
        for i in 0..<count { gradient[i] = inverse * weight[i] * gradient[i] - share * (x[i] - mean) }
        guard norm.removesMean else { return }
        let rest = RowSum.of(gradient, count: count) / n
        for i in 0..<count { gradient[i] -= rest }
    }

    /// What a feed-forward's gate and up make of it, and how that changes with either: with h = act(gate) · up, `value` is h, `toGate` is
    /// ∂h/∂gate and `toUp` is ∂h/∂up, element by element.
    ///
    /// - Parameters:
    ///   - toGate: holds the gate, [count].
    ///   - toUp: holds up, [count].
    ///   - value: written.
    func activation(
        _ activation: Activation, toGate: UnsafeMutablePointer<Float>, toUp: UnsafeMutablePointer<Float>,
        value: UnsafeMutablePointer<Float>, count: Int
    ) {
        switch activation {
        case .silu:
            sigmoids(toGate, times: 1, count: count, into: value)
            for i in 0..<count {
                let (gate, up, sigmoid) = (toGate[i], toUp[i], value[i])
                let act = gate * sigmoid
                value[i] = act * up
                toGate[i] = (sigmoid + act * (1 - sigmoid)) * up
                toUp[i] = act
            }
        case .geluTanh:
            // Φ's approximation ½ (1 + tanh v) is sigmoid(2 v), v = √(2/π) · (x + 0.044715 x³).
            let (slope, cubic): (Float, Float) = (1.5957691216057308, 0.044715)
            for i in 0..<count { value[i] = toGate[i] * (1 + cubic * toGate[i] * toGate[i]) }
            sigmoids(value, times: slope, count: count, into: value)
            for i in 0..<count {
                let (gate, up, sigmoid) = (toGate[i], toUp[i], value[i])
                let act = gate * sigmoid
                value[i] = act * up
                toGate[i] = (sigmoid + act * (1 - sigmoid) * slope * (1 + 3 * cubic * gate * gate)) * up
                toUp[i] = act
            }
        case .reluSquared:
            for i in 0..<count {
                let (positive, up) = (max(toGate[i], 0), toUp[i])
                value[i] = positive * positive * up
                toGate[i] = 2 * positive * up
                toUp[i] = positive * positive
            }
        case .clampedSwish(let slope, let limit):
            for i in 0..<count { value[i] = min(toGate[i], limit) }
            sigmoids(value, times: slope, count: count, into: value)
            for i in 0..<count {
                let (gate, sigmoid) = (min(toGate[i], limit), value[i])
                let (up, act) = (min(max(toUp[i], -limit), limit) + 1, gate * sigmoid)
                value[i] = act * up
                let isGateCut = toGate[i] > limit, isUpCut = abs(toUp[i]) > limit
                toGate[i] = isGateCut ? 0 : (sigmoid + slope * act * (1 - sigmoid)) * up
                toUp[i] = isUpCut ? 0 : act
            }
        }
    }

    /// The gradient before a rotation from the one after it: the rotation the other way.
    func throughRotation(_ gradient: UnsafeMutablePointer<Float>, position: Int, _ rotary: RotaryEmbedding) {
        let (cosine, sine) = (rotary.cosine(position), rotary.sine(position))
        for i in 0..<rotary.half {
            let (a, b) = (gradient[i], gradient[i + rotary.half])
            gradient[i] = a * cosine[i] + b * sine[i]
            gradient[i + rotary.half] = b * cosine[i] - a * sine[i]
        }
    }

    /// 1 / (1 + exp(−slope · x)), with the kernels' own powers of two. `output` may be `x`.
    private func sigmoids(_ x: UnsafePointer<Float>, times slope: Float, count: Int, into output: UnsafeMutablePointer<Float>) {
        let factor = -slope * 1.4426950408889634
        // Beyond 2^±100 a sigmoid is 0 or 1 in FP32.
        for i in 0..<count { output[i] = min(max(factor * x[i], -100), 100) }
        _ = kernels.exponentiate(output, count: count, maximum: 0)
        for i in 0..<count { output[i] = 1 / (1 + output[i]) }
    }
}

/// A sum over a row in vectors, which compilers do not make of a sum in order.
private struct RowSum {
    typealias Lanes = SIMD16<Float>
    typealias Load = (_ values: UnsafePointer<Float>, _ start: Int) -> Lanes

    private(set) var total: Float = 0

    @inline(__always)
    mutating func add(_ count: Int, _ term: (_ load: Load, _ start: Int) -> Lanes) {
        let whole = count / Lanes.scalarCount * Lanes.scalarCount
        var sums = Lanes.zero
        for start in stride(from: 0, to: whole, by: Lanes.scalarCount) {
            sums += term({ UnsafeRawPointer($0 + $1).loadUnaligned(as: Lanes.self) }, start)
        }
        total += sums.sum()
        guard whole < count else { return }
        // The last elements, zeros after them.
        let rest = term(
            { values, start in
                var lanes = Lanes.zero
                for i in 0..<count - start { lanes[i] = values[start + i] }
                return lanes
            }, whole)
        for i in 0..<count - whole { total += rest[i] }
    }

    static func of(_ x: UnsafePointer<Float>, count: Int) -> Float {
        var sum = RowSum()
        sum.add(count) { load, at in load(x, at) }
        return sum.total
    }

    static func ofProducts(_ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, count: Int) -> Float {
        var sum = RowSum()
        sum.add(count) { load, at in load(x, at) * load(y, at) }
        return sum.total
    }
}

extension RowGradients {
    static func sum(_ x: UnsafePointer<Float>, count: Int) -> Float { RowSum.of(x, count: count) }

    static func dot(_ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, count: Int) -> Float { RowSum.ofProducts(x, y, count: count) }
}
