import AttentionCore
import AttentionKernels
import CSampleAttention
import Parallelism
import Synchronization

/// Threads, an instruction set and a precision, with the memory of calls that have ended.
final class Engine: Handle, Sendable {
    let kernel: AttentionKernel
    private let idle = Mutex<[CallMemory]>([])

    private static let mostThreads = 1024

    /// - Throws: `InputError`: `usage` for options out of range; `unsupported` for an instruction set that this machine lacks.
    init(_ options: sample_attention_engine_options) throws(InputError) {
        let threads = Int(options.threads)
        guard (0...Self.mostThreads).contains(threads) else {
            throw InputError(.usage, field: "options.threads", value: "\(threads)", rule: "must be from 0 to \(Self.mostThreads)")
        }
        let instructionSet = try Self.instructionSet(options.instruction_set)
        kernel = try AttentionKernel(
            instructionSet: instructionSet, precision: try Self.precision(options.precision, on: instructionSet),
            pool: WorkerPool(threads: threads == 0 ? max(1, WorkerPool.availableCores) : threads))
    }

    private static func instructionSet(_ name: UnsafePointer<CChar>?) throws(InputError) -> InstructionSet {
        guard let name = name.map({ String(cString: $0) }) else { return .best }
        guard let set = InstructionSet(rawValue: name) else {
            let known = InstructionSet.allCases.map(\.rawValue).joined(separator: ", ")
            throw InputError(.usage, field: "options.instruction_set", value: name, rule: "must be one of \(known)")
        }
        return set
    }

    private static func precision(_ number: Int32, on instructionSet: InstructionSet) throws(InputError) -> Precision {
        switch Int(number) {
        case SAMPLE_ATTENTION_PRECISION_AUTO: return try PrecisionRates(instructionSet: instructionSet).fastest
        case SAMPLE_ATTENTION_PRECISION_FP32: return .fp32
        case SAMPLE_ATTENTION_PRECISION_BF16: return .bf16
        default:
            throw InputError(.usage, field: "options.precision", value: "\(number)", rule: "must be a SAMPLE_ATTENTION_PRECISION constant")
        }
    }

    var info: sample_attention_engine_info {
        var info = sample_attention_engine_info()
        info.threads = Int32(kernel.pool.threads)
        info.precision = Int32(kernel.precision == .fp32 ? SAMPLE_ATTENTION_PRECISION_FP32 : SAMPLE_ATTENTION_PRECISION_BF16)
        withUnsafeMutableBytes(of: &info.instruction_set) { write(kernel.instructionSet.rawValue, to: $0) }
        return info
    }

    /// Lends memory that no other call works in.
    func withMemory<Result>(_ body: (CallMemory) throws(InputError) -> Result) throws(InputError) -> Result {
        let memory = idle.withLock { $0.popLast() } ?? CallMemory()
        defer { idle.withLock { $0.append(memory) } }
        return try body(memory)
    }
}

/// What one call works in beside the caller's memory. One call at a time has it.
final class CallMemory: @unchecked Sendable {
    let workspace = AttentionWorkspace()
    let query = FloatRoom(), key = FloatRoom(), value = FloatRoom(), output = FloatRoom()
}

/// Floats that grow as needed.
final class FloatRoom: @unchecked Sendable {
    private var buffer = AlignedBuffer<Float>(count: 0)

    /// - Throws: `InputError` (`systemFailure`) when the system does not give the memory; what was there is kept then.
    func make(_ extents: Int, _ rows: Int, _ dimension: Int, of purpose: String) throws(InputError) -> UnsafeMutablePointer<Float> {
        if buffer.count < extents * rows * dimension { buffer = try AlignedBuffer(extents: extents, rows, dimension, of: purpose) }
        return buffer.base
    }
}
