import AttentionCore
import AttentionTestSupport
import Evaluation
import Foundation
import ModelFormats
import Testing

/// BABILong's own rows as tasks.
@Suite struct BABILongTests {
    private let files: PublishedRows

    init() throws { files = try PublishedRows() }

    @Test func babiLongRowsBecomeQuestionsAboutLabels() throws {
        let question = try PublishedRows.question(files.read(PublishedRows.babiLong(["task": "qa1_single-supporting-fact"])).first)
        #expect(question.scorer == .label && question.answers == ["garden"] && question.newTokens == 20 && !question.onlyFirstLine)
        #expect(question.classes == ["bathroom", "bedroom", "garden", "hallway", "kitchen", "office"])
        #expect(question.prompt.hasPrefix("Mary went to the garden. It rained.") && question.prompt.hasSuffix("Where is Mary?\nAnswer:"))
        #expect(question.scorer.score(" the garden", question: question) == 1)
    }

    @Test func labelsOfTheQuestionDoNotCount() throws {
        let row = try PublishedRows.babiLong(["task": "qa3", "question": "Where was the milk before the Kitchen?", "target": "garden"])
        let question = try PublishedRows.question(files.read(row).first)
        #expect(!question.classes.contains("kitchen"))
        #expect(question.scorer.score("Before the kitchen it was in the garden", question: question) == 1)
        #expect(question.scorer.score("Before the office it was in the garden", question: question) == 0)
    }

    @Test(arguments: [
        ("qa8", "apple,milk", ["apple", "milk"]), ("qa19", "n,e", ["n,e"]), ("qa5", "Fred", ["fred"]), ("qa10", "maybe", ["maybe"]),
        ("qa20", "tired", ["tired"]),
    ]) func severalTargetsAreWantedTogether(task: String, target: String, answers: [String]) throws {
        let question = try PublishedRows.question(
            files.read(PublishedRows.babiLong(["task": task, "target": target, "question": "What?"])).first)
        #expect(question.answers == answers)
        #expect(question.scorer.score(target, question: question) == 1)
    }

    @Test(arguments: ["qa2_4k.jsonl", "data-QA2.json", "qa2/0k.json"]) func theFilesNameTellsTheTask(_ name: String) throws {
        try FileManager.default.createDirectory(atPath: files.scratch.file("qa2"), withIntermediateDirectories: true)
        #expect(try files.read(PublishedRows.babiLong(["task": nil]), name: name).first?.name == "qa2")
    }
}
