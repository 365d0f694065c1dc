import AttentionCore
import AttentionTestSupport
import Foundation
import ProcessGroups
import Testing

/// Ranks that exchange values and agree before they begin.
@Suite struct ProcessGroupTests {
    @Test(arguments: [1, 2, 5]) func everyRankGetsWhatRankZeroHas(count: Int) throws {
        let values = try ThreadGroup.run(count) { group in
            // Two in a row, so that the second must not overtake the first.
            [try group.shared(["rank \(group.rank)"]), try group.shared(["again", "\(group.rank)"])]
        }.map { try $0.get() }
        #expect(values == Array(repeating: [["rank 0"], ["again", "0"]], count: count))
    }

    @Test(arguments: [1, 2, 5]) func rankZeroGetsWhatEveryRankHas(count: Int) throws {
        let gathered = try ThreadGroup.run(count) { try $0.gathered($0.rank * $0.rank) }.map { try $0.get() }
        #expect(gathered[0] == (0..<count).map { $0 * $0 } && gathered.dropFirst().allSatisfy { $0 == nil })
    }

    @Test func oneProcessExchangesNothing() throws {
        let alone = SoleProcess()
        #expect(try alone.isRoot && alone.isAlone && alone.shared(7) == 7 && alone.gathered(8) == [8])
        try Agreement.reach([SharedFact("seed", "1")], failure: InputError(.usage, rule: "fails by itself"), in: alone)
    }

    private func outcomes(_ count: Int, _ statement: @Sendable @escaping (Int) -> (facts: [SharedFact], failure: InputError?)) -> [String] {
        ThreadGroup.run(count) { group in
            let (facts, failure) = statement(group.rank)
            try Agreement.reach(facts, failure: failure, in: group)
        }.map { result in
            guard case .failure(let error) = result else { return "agreed" }
            return (error as? CommonFailure).map(\.error.description) ?? "\(error)"
        }
    }

    @Test func ranksWithTheSameFactsAgree() {
        #expect(outcomes(3) { _ in ([SharedFact("seed", "1"), SharedFact("weights", "abc")], nil) } == ["agreed", "agreed", "agreed"])
    }

    /// All ranks hear of the first difference, with both values.
    @Test func differencesAreNamed() {
        let host = ProcessInfo.processInfo.hostName
        let heard = outcomes(4) { rank in ([SharedFact("seed", "1"), SharedFact("weights", rank >= 2 ? "def" : "abc")], nil) }
        #expect(heard == Array(repeating: "rank 2 on \(host), weights: def: must be abc, as on rank 0", count: 4))
    }

    /// A rank that cannot begin says why, and so do all; of several the first by rank.
    @Test func aRankThatCannotBeginEndsAll() {
        let host = ProcessInfo.processInfo.hostName
        let heard = outcomes(3) { rank in
            ([], rank == 0 ? nil : InputError(.missingInput, file: "model-\(rank)", rule: "must be there"))
        }
        #expect(heard == Array(repeating: "model-1: rank 1 on \(host): must be there", count: 3))
        let root = outcomes(2) { rank in ([], rank == 0 ? InputError(.usage, field: "seed", value: "x", rule: "must be a number") : nil) }
        #expect(root == ["seed: x: must be a number", "seed: x: must be a number"])
    }

    @Test func ranksOfAMachineAreCounted() {
        #expect(MPIGroup.ranksHere(environment: [:]) == 1)
        #expect(MPIGroup.ranksHere(environment: ["OMPI_COMM_WORLD_LOCAL_SIZE": "4"]) == 4)
        #expect(MPIGroup.ranksHere(environment: ["MPI_LOCALNRANKS": "3"]) == 3)
    }

    /// What no launcher started, or started alone, needs no MPI; a library that is missing is named.
    @Test func mpiIsLoadedForSeveralRanksOnly() throws {
        #expect(try MPIGroup.launched(environment: [:]).isAlone)
        #expect(try MPIGroup.launched(environment: ["OMPI_COMM_WORLD_SIZE": "1", "SAMPLE_ATTENTION_MPI": "/nowhere.so"]).isAlone)
        for variable in ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"] {
            let error = #expect(throws: InputError.self) {
                try MPIGroup.launched(environment: [variable: "2", "SAMPLE_ATTENTION_MPI": "/nowhere.so"])
            }
            #expect(error?.code == .systemFailure && error?.description.contains("/nowhere.so") == true, "\(String(describing: error))")
        }
    }
}
