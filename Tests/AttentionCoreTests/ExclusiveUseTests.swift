import AttentionCore
import Testing

@Suite struct ExclusiveUseTests {
    @Test func usesOneAfterTheOther() throws {
        let use = ExclusiveUse(of: "a thing")
        #expect(use.during { 1 } == 1)
        // A use that throws has ended too.
        #expect(throws: InputError.self) {
            try use.during { () throws(InputError) in throw InputError(.usage, rule: "refused") }
        }
        #expect(use.during { 2 } == 2)
    }

    @Test func aSecondUseStopsTheProgram() async throws {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            let use = ExclusiveUse(of: "a thing")
            use.during { use.during {} }
        }
        let message = String(decoding: try #require(result).standardErrorContent, as: UTF8.self)
        #expect(message.contains("a thing was used by two calls at once"))
    }
}
