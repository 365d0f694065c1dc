import AttentionCore
import CAttentionKernels

/// The SIMD instruction set the kernels run on: one of those that `CAttentionKernels` lists, from the slowest to the fastest.
public struct InstructionSet: Hashable, Sendable, NamedCase, CustomStringConvertible {
    /// Its name in the list, which options and files know it by.
    public let rawValue: String
    private let place: Int32

    private init(place: Int32) {
        rawValue = String(cString: sa_instruction_set(place).name)
        self.place = place
    }

    /// The set of a name; nil for names that are not in the list.
    public init?(rawValue: String) {
        guard let set = Self.allCases.first(where: { $0.rawValue == rawValue }) else { return nil }
        self = set
    }

    /// Every set that there are kernels for, whether or not this machine can run them.
    public static let allCases = (0..<sa_instruction_set_count()).map { InstructionSet(place: $0) }

    /// The reference that all others are checked against; runs everywhere.
    public static let scalar = allCases[0]

    /// The fastest set this machine and this build have.
    public static let best = allCases.last { $0.isAvailable } ?? .scalar

    /// True when this machine can run it.
    public var isAvailable: Bool { sa_instruction_set(place).kernels != nil }

    public var description: String { rawValue }

    /// - Throws: `InputError` (`unsupported`) when this machine lacks the instruction set.
    package func kernels() throws(InputError) -> KernelTable {
        guard let table = sa_instruction_set(place).kernels else {
            throw InputError(.unsupported, field: "isa", value: rawValue, rule: "this machine does not have these instructions")
        }
        return KernelTable(functions: table.pointee)
    }
}

/// The number format of the operands of matrix products; every sum is FP32 in both.
public enum Precision: String, Sendable, NamedCase {
    /// Operands as they are.
    case fp32
    /// Operands rounded to BF16 (8 significant bits, relative error up to 2⁻⁸) as they are packed. Runs everywhere, and fast
    /// where the instruction set has BF16 products.
    case bf16
}

/// The microkernels of one instruction set (function pointers; see `CAttentionKernels.h` for each contract).
package struct KernelTable: @unchecked Sendable {
    package let functions: SAKernelTable

    package init(functions: SAKernelTable) { self.functions = functions }

    /// The kernels whose operands have the given precision.
    package func tiles(_ precision: Precision) -> SATileKernelTable {
        switch precision {
        case .fp32: functions.fp32
        case .bf16: functions.bf16
        }
    }

    /// The kernels of rows that are stored in a format.
    func rows(_ format: RowFormat) -> SARowKernelTable {
        switch format {
        case .fp32: functions.rows_fp32
        case .bf16: functions.rows_bf16
        case .int8: functions.rows_int8
        }
    }

    /// Query rows a block holds, one a SIMD lane.
    package static let lanes = Int(SA_LANES)
    /// Keys whose scores are held at once.
    package static let tileKeys = Int(SA_TILE_KEYS)
    /// Lanes that a masked tile does or leaves out together, in the widest instruction set. Narrower ones are finer, which spares a few
    /// pairs at the edges.
    package static let vectorLanes = Int(SA_VECTOR_LANES)
    /// Keys whose values are packed together at most, whatever the kernels: what begins at a multiple of it begins a group of them.
    package static let mostValueKeys = Int(SA_MOST_VALUE_KEYS)
}

extension SATileKernelTable {
    /// Keys whose values are packed together.
    package var valueKeys: Int { Int(value_keys) }

    /// 32-bit elements that `count` neighbours of a product's inner axis fill.
    package func steps(_ count: Int) -> Int {
        let values = Int(step_values)
        return (count + values - 1) / values
    }
}
