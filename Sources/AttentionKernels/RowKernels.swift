import AttentionCore
import CAttentionKernels

/// The row operations of a transformer around its attention, on the kernel's instruction set. Single-threaded.
package struct RowKernels: @unchecked Sendable {
    private let functions: SAKernelTable

    init(functions: SAKernelTable) { self.functions = functions }

    /// output = x / √(mean(x²) + ε) · weight (arXiv 1910.07467). `output` may be `x`.
    package func rootMeanSquareNorm(
        _ x: UnsafePointer<Float>, weight: UnsafePointer<Float>, epsilon: Float, count: Int, into output: UnsafeMutablePointer<Float>
    ) {
        functions.rms_norm(x, weight, epsilon, Int32(count), output)
    }

    /// Turns each pair (x_i, x_{i+half}) by the angle whose cosine and sine are given (arXiv 2104.09864).
    package func rotateHalves(_ x: UnsafeMutablePointer<Float>, cosine: UnsafePointer<Float>, sine: UnsafePointer<Float>, half: Int) {
        functions.rotate_halves(x, cosine, sine, Int32(half))
    }

    /// gate = gate · sigmoid(gate) · up (arXiv 2002.05202).
    package func swiGLU(gate: UnsafeMutablePointer<Float>, up: UnsafePointer<Float>, count: Int) {
        functions.swiglu(gate, up, Int32(count))
    }

    /// gate = gelu(gate) · up, with tanh's approximation of Φ (arXiv 1606.08415, 2002.05202).
    package func geGLU(gate: UnsafeMutablePointer<Float>, up: UnsafePointer<Float>, count: Int) {
        functions.geglu(gate, up, Int32(count))
    }

    /// gate = g · sigmoid(slope · g) · (u + 1), g = min(gate, limit), u = up cut to ± limit (gpt-oss, arXiv 2508.10925).
    package func clampedSwiGLU(gate: UnsafeMutablePointer<Float>, up: UnsafePointer<Float>, count: Int, slope: Float, limit: Float) {
        functions.clamped_swiglu(gate, up, Int32(count), slope, limit)
    }

    /// Room that `collect` needs behind the numbers it finds.
    package static let collectSlack = KernelTable.vectorLanes

    /// Copies the numbers in least ..< limit to `out` in their order and returns how many they are.
    package func collect(
        _ numbers: UnsafeBufferPointer<Float>, from least: Float, below limit: Float, into out: UnsafeMutablePointer<Float>
    ) -> Int {
        numbers.isEmpty ? 0 : Int(functions.collect_between(numbers.baseAddress!, Int32(numbers.count), least, limit, out))
    }

    /// x_i becomes cap · tanh(x_i / cap).
    package func softCap(_ x: UnsafeMutablePointer<Float>, count: Int, cap: Float) { functions.soft_cap(x, Int32(count), cap) }

    /// x_i becomes 2^(x_i − maximum), where maximum ≥ every x_i; returns the sum.
    package func exponentiate(_ x: UnsafeMutablePointer<Float>, count: Int, maximum: Float) -> Float {
        functions.row_exp2(x, Int32(count), maximum)
    }
}

extension AttentionKernel {
    /// The row operations on the same instruction set.
    package var rowKernels: RowKernels { RowKernels(functions: functions) }
}
