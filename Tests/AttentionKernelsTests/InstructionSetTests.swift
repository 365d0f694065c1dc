import AttentionCore
import AttentionKernels
import Foundation
import Parallelism
import Testing

@Suite struct InstructionSetTests {
    /// Files and options know the sets by these names, and a later set is a faster one.
    @Test func namesStayInOrder() {
        let names = InstructionSet.allCases.map(\.rawValue)
        #expect(Array(names.prefix(5)) == ["scalar", "avx2", "avx512", "avx512bf16", "amx"])
        #expect(Set(names).count == names.count)
        #expect(InstructionSet.scalar.rawValue == "scalar" && InstructionSet.scalar.isAvailable)
    }

    @Test(arguments: InstructionSet.allCases) func isKnownByItsName(set: InstructionSet) throws {
        #expect(InstructionSet(rawValue: set.rawValue) == set)
        #expect("\(set)" == set.rawValue)
        let text = try String(decoding: JSONEncoder().encode([set]), as: UTF8.self)
        #expect(text == "[\"\(set.rawValue)\"]")
        #expect(try JSONDecoder().decode([InstructionSet].self, from: Data(text.utf8)) == [set])
    }

    @Test func refusesOtherNames() {
        #expect(InstructionSet(rawValue: "mmx") == nil && InstructionSet(rawValue: "") == nil)
        #expect(throws: InputError.self) { try JSONDecoder().decode([InstructionSet].self, from: Data("[\"mmx\"]".utf8)) }
    }

    @Test func theBestIsTheLastThatRuns() throws {
        let available = InstructionSet.allCases.filter(\.isAvailable)
        #expect(InstructionSet.best == available.last)
        for set in InstructionSet.allCases where !available.contains(set) {
            #expect(throws: InputError.self) { try AttentionKernel(instructionSet: set, pool: WorkerPool(threads: 1)) }
        }
    }
}
