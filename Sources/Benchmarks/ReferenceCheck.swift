import AttentionCore
import AttentionKernels
import LanguageModels
import ModelFormats

/// Holds what a model computes against the same model in FP32 on another instruction set.
struct ReferenceCheck {
    private let field: String

    /// - Parameter field: what errors call it.
    init(of field: String) { self.field = field }

    /// The largest difference, relative to the largest number.
    ///
    /// - Throws: `InputError` (`internalFailure`) when it is more than rounding explains, so that a wrong model is never timed.
    func error(of model: LanguageModel, _ compute: (LanguageModel) throws -> [Float]) throws -> Double {
        let own = model.kernel
        let other = own.instructionSet.modelCheckingSet
        let reference = try LanguageModel.load(
            from: model.files.path, kernel: AttentionKernel(instructionSet: other, pool: own.pool), ignoresExtraTensors: true)
        let (found, expected) = (try compute(model), try compute(reference))
        let largest = expected.reduce(0) { max($0, abs($1)) }
        let differences = zip(found, expected).map { Double(abs($0 - $1) / largest) }
        // `max` would pass over what is not a number.
        let error = differences.contains { $0.isNaN } ? .infinity : differences.max() ?? 0
        // BF16's rounding of every operand adds up over the layers.
        let limit = own.precision == .fp32 ? 1e-3 : 0.1
        guard error < limit else {
            throw InputError(
                .internalFailure, field: field, value: "\(error)", rule: "must agree with FP32 on \(other.rawValue) to \(limit)")
        }
        return error
    }
}
