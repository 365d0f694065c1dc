import DurableFiles
import Testing

/// Two pieces of work are told apart by what they encode to, not by how their types print.
@Suite struct JournalDifferenceTests {
    private struct Settings: Encodable {
        struct Floor: Encodable {
            var loss = 0.01
            var tail: Double?
        }
        var lengths = [1024]
        var floor = Floor()
        var sampler = "tpe"
    }

    @Test func namesTheFirstMemberThatDiffers() {
        var other = Settings()
        other.sampler = "quasi-random"
        other.floor.tail = 0.5
        let difference = JournalDifference.first(ofMembers: Settings(), other, named: "settings.")
        #expect(difference == JournalDifference(field: "settings.floor", own: #"{"loss":0.01}"#, others: #"{"loss":0.01,"tail":0.5}"#))
    }

    @Test func equalAndPassedOverMembersDoNotDiffer() {
        var other = Settings()
        #expect(JournalDifference.first(ofMembers: Settings(), other) == nil)
        other.lengths = [2048]
        #expect(JournalDifference.first(ofMembers: Settings(), other)?.field == "lengths")
        #expect(JournalDifference.first(ofMembers: Settings(), other, except: ["lengths"]) == nil)
    }

    /// The smallest change of a number is a change.
    @Test func numbersAreExact() {
        var other = Settings()
        other.floor.loss = 0.01.nextUp
        #expect(JournalDifference.first(ofMembers: Settings(), other)?.field == "floor")
    }
}
