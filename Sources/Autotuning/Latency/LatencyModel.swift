import AttentionCore
import RunProvenance
import SampleAttention

/// How long heads take on one machine: a sum of costs, each proportional to one term of their work.
///
/// `seconds(head) = Σ_t secondsPerUnit[t] · work[t]`, no coefficient negative. A head's seconds are its share of the wall time of its
/// layer, with the kernel's pool busy: layers add up head by head. The coefficients hold for one CPU, instruction set, number of
/// threads, precision and head dimension.
public struct LatencyModel: Hashable, Sendable {
    /// Where the coefficients hold.
    public let machine: Provenance.Machine
    /// d; a pair's products cost 4 · d operations, so coefficients are for one d.
    public let headDimension: Int
    /// Wall seconds of a unit of each term; not negative.
    public let secondsPerUnit: [HeadWork.Term: Double]

    /// - Parameter secondsPerUnit: finite and not negative; terms that are missing cost nothing.
    public init(machine: Provenance.Machine, headDimension: Int, secondsPerUnit: [HeadWork.Term: Double]) {
        precondition(secondsPerUnit.values.allSatisfy { $0.isFinite && $0 >= 0 }, "a cost is finite and not negative")
        self.machine = machine
        self.headDimension = headDimension
        self.secondsPerUnit = secondsPerUnit
    }

    /// The head's share of its layer's wall time.
    public func seconds(_ work: HeadWork) -> Double {
        // In the order of the terms: sums of doubles depend on it, and a dictionary's changes from run to run.
        HeadWork.Term.allCases.reduce(0) { $0 + (secondsPerUnit[$1] ?? 0) * work[$1] }
    }

    /// The wall time of heads that a busy pool does, of one layer or of many.
    public func seconds(_ heads: some Sequence<HeadWork>) -> Double { heads.reduce(0) { $0 + seconds($1) } }
}

extension HeadWork.Term {
    /// Operations of one unit at head dimension d: multiply-adds count two. Nil for what is no product.
    public func operations(headDimension: Int) -> Double? {
        switch self {
        case .densePairs, .windowPairs, .columnPairs, .blockPairs: Double(4 * headDimension)
        case .sampledPairs, .certifiedPairs: Double(2 * headDimension)
        case .quantizedProducts: 2
        default: nil
        }
    }
}
