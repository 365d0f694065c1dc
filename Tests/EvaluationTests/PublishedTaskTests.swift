import AttentionCore
import AttentionTestSupport
import Evaluation
import Foundation
import ModelFormats
import Testing

/// What the readers of published benchmarks share: limits, the cut, templates, lists, refusals.
@Suite struct PublishedTaskTests {
    private let files: PublishedRows

    init() throws { files = try PublishedRows() }

    @Test func eachTaskIsMadeForEveryLimitInFileOrder() throws {
        let rows = try [
            PublishedRows.longBench("lcc"), PublishedRows.babiLong(),
            PublishedRows.line(["id": "own", "task": "t", "length": 9, "prompt": "p", "answer": "a"]),
        ]
        let tasks = try files.read(rows.joined(separator: "\n"), PublishedRows.reading([300, 200]))
        #expect(tasks.map(\.id) == ["lcc-300-7f", "lcc-200-7f", "qa1-300-2", "qa1-200-2", "own"])
        #expect(tasks.map(\.length) == [300, 200, 300, 200, 9])
    }

    static let languages = [
        "Whale ships left Nantucket in the spring; few came back before the third year had gone. ",
        "那条鲸鱼在海上游了很久，水手们都看见了它。", "🙂👩‍👧 naïve e\u{301}te\u{301} \u{1F1F3}\u{1F1F4}… ", "0123456789\t\n  ---==== ",
    ]

    @Test(arguments: languages, [100, 101, 517, 2048]) func longPromptsLoseTheirMiddleAndFit(text: String, limit: Int) throws {
        let tokenizer = try #require(PublishedRows.tokenizer)
        let context = (0..<400).map { "\($0) " + text }.joined()
        let row = try PublishedRows.longBench("hotpotqa", context: context)
        let whole = Array(try PublishedRows.question(files.read(row, PublishedRows.reading([1 << 20])).first).prompt.unicodeScalars)
        let cut = try PublishedRows.question(files.read(row, PublishedRows.reading([limit])).first).prompt
        let used = 1 + tokenizer.encode(cut).count + 32
        #expect(used <= limit && used > limit - 12, "\(used) of \(limit)")
        // The longest common beginning and end are the two halves, whole characters of about as many tokens.
        let scalars = Array(cut.unicodeScalars)
        let start = zip(scalars, whole).prefix { $0 == $1 }.count
        let end = zip(scalars.reversed(), whole.reversed()).prefix { $0 == $1 }.count
        #expect(start + end >= scalars.count && scalars.count < whole.count)
        for part in [scalars.prefix(start), scalars.suffix(end)] {
            let tokens = tokenizer.encode(String(String.UnicodeScalarView(part))).count
            #expect(abs(tokens - (limit - 33) / 2) <= 10, "\(tokens) of \(limit - 33)")
        }
    }

    /// With a token a byte the two halves are known: five bytes each, without the bytes of a character that is not whole.
    @Test(arguments: [
        ("abcdef", "uvwxyz", "abcdevwxyz"), ("abcdé", "uvé12", "abcdvé12"), ("abcé", "ué123", "abcéé123"), ("abcd🙂", "🙂yz", "abcdyz"),
    ])
    func eachHalfIsCutAtACharacter(start: String, end: String, cut: String) throws {
        let model = try TinyModel(Scratch())
        let reading = TaskFile.Reading(
            tokenizer: try ModelFiles(model.path).tokenizer(), limits: [1 + 10 + 64, 1 + 11 + 64])
        let row = try PublishedRows.longBench("lcc", context: start + String(repeating: "-", count: 90) + end, with: ["input": ""])
        #expect(try files.read(row, reading).map { try PublishedRows.question($0).prompt } == [cut, cut])
    }

    /// Where the two halves meet, letters of long words may take more tokens than they did apart.
    @Test func promptsFitAtEveryLimit() throws {
        let tokenizer = try #require(PublishedRows.tokenizer)
        var random = SeededGenerator(seed: 1)
        let letters = String((0..<3000).map { _ in "etaoinshrdlu".randomElement(using: &random)! })
        let row = try PublishedRows.longBench("hotpotqa", context: letters)
        for task in try files.read(row, PublishedRows.reading(Array(80..<800))) {
            #expect(1 + tokenizer.encode(task.text).count + 32 <= task.length, "\(task.id)")
        }
    }

    @Test func aPromptThatFitsIsNotCut() throws {
        let tokenizer = try #require(PublishedRows.tokenizer)
        let row = try PublishedRows.longBench("hotpotqa", context: String(repeating: Self.languages[0], count: 9))
        let whole = try PublishedRows.question(files.read(row).first).prompt
        let tokens = 1 + tokenizer.encode(whole).count + 32
        #expect(try PublishedRows.question(files.read(row, PublishedRows.reading([tokens])).first).prompt == whole)
        #expect(try PublishedRows.question(files.read(row, PublishedRows.reading([tokens - 1])).first).prompt != whole)
    }

    @Test func aLimitWithoutRoomIsRefused() throws {
        let error = try #require(throws: InputError.self) {
            try files.read(PublishedRows.longBench("gov_report"), PublishedRows.reading([514]))
        }
        #expect(error.code == .usage && error.field == "length" && error.rule.contains("512"), "\(error)")
    }

    @Test func officialTemplatesAreFilledOnce() throws {
        let file = try files.scratch.write(
            #"{"hotpotqa": "Passages:\n{context}\nNow: {input} {input}\nAnswer:", "qa1": "{input} {context}"}"#, to: "dataset2prompt.json")
        let reading = try PublishedRows.reading(templates: PromptTemplates(contentsOf: file))
        let row = try PublishedRows.longBench("hotpotqa_e", context: "a {input} b", with: ["input": "{context}?"])
        #expect(
            try PublishedRows.question(files.read(row, reading).first).prompt
                == "Passages:\na {input} b\nNow: {context}? {context}?\nAnswer:")
        #expect(
            try PublishedRows.question(files.read(PublishedRows.babiLong(), reading).first).prompt
                == "Where is Mary? Mary went to the garden. It rained.")
        let error = try #require(throws: InputError.self) { try files.read(PublishedRows.longBench("qasper"), reading) }
        #expect(error.code == .invalidData && error.file == file && error.field == "qasper", "\(error)")
    }

    @Test(arguments: [("[]", ""), ("{", ""), (#"{"a": "{context}", "b": 1}"#, "b"), (#"{"a": "{context}", "b": "{input}"}"#, "b")])
    func brokenTemplatesAreRefused(content: String, field: String) throws {
        let file = try files.scratch.write(content, to: "templates.json")
        let error = try #require(throws: InputError.self) { try PromptTemplates(contentsOf: file) }
        #expect(error.code == .invalidData && error.file == file && error.field ?? "" == field, "\(error)")
    }

    @Test func missingTemplatesAreRefused() throws {
        let error = try #require(throws: InputError.self) { try PromptTemplates(contentsOf: files.scratch.file("none.json")) }
        #expect(error.code == .missingInput)
    }

    @Test func listsAreReadLikeLines() throws {
        let rows = try [PublishedRows.babiLong(), PublishedRows.babiLong(["task": "qa6", "target": "yes"])]
        let list = try files.read(" [\n" + rows.joined(separator: ",\n") + "\n]\n")
        #expect(try list == files.read(rows.joined(separator: "\n")) && list.map(\.id) == ["qa1-4096-1", "qa6-4096-2"])
        let unknown = try #require(throws: InputError.self) { try files.read("[\(rows[0]),\(PublishedRows.babiLong(["task": "qa6"]))]") }
        #expect(unknown.field == "row 2, target" && unknown.value == "garden", "\(unknown)")
        let missing = try #require(throws: InputError.self) { try files.read(#"[\#(rows[0]),{"target":"t"}]"#) }
        #expect(missing.field == "row 2, input" && missing.rule == "is missing", "\(missing)")
        let empty = try #require(throws: InputError.self) { try files.read("[]") }
        #expect(empty.rule.contains("at least one task"))
    }

    struct Damage: Sendable, CustomTestStringConvertible {
        let row: String
        let parts: [String]
        var testDescription: String { row }
    }

    static func damages() throws -> [Damage] {
        [
            Damage(row: try PublishedRows.longBench("hotpot"), parts: ["line 2, dataset: hotpot", "one of LongBench's"]),
            Damage(
                row: try PublishedRows.longBench("hotpotqa", with: ["answers": [String]()]), parts: ["line 2, answers", "at least one"]),
            Damage(
                row: try PublishedRows.longBench("trec", with: ["all_classes": nil]), parts: ["line 2, all_classes", "classes of trec"]),
            Damage(row: try PublishedRows.longBench("passage_retrieval_en"), parts: ["line 2, answers: Paul", "name a paragraph"]),
            Damage(row: try PublishedRows.longBench("lcc", with: ["_id": 3]), parts: ["line 2, _id: must be a text"]),
            Damage(row: try PublishedRows.longBench("lcc", with: ["answers": "a"]), parts: ["line 2, answers: must be a list"]),
            Damage(
                row: try PublishedRows.longBench("lcc", with: ["answers": ["a", 1]]), parts: ["line 2, answers[1]: must be a text"]),
            Damage(row: #"{"input":"i","outputs":"a","length":9}"#, parts: ["line 2, outputs: must be a list"]),
            Damage(row: #"{"input":"i","outputs":[],"length":9}"#, parts: ["line 2, outputs", "at least one text"]),
            Damage(row: #"{"input":"i","outputs":["a"],"length":0}"#, parts: ["line 2, length: 0: must be positive"]),
            Damage(row: #"{"context":"c","input":"i"}"#, parts: ["line 2", "is missing"]),
            Damage(row: try PublishedRows.babiLong(["task": "qa21"]), parts: ["line 2, task: qa21", "qa1 to qa20"]),
            Damage(row: try PublishedRows.babiLong(["task": "facts"]), parts: ["line 2, task: facts", "such as qa1"]),
            Damage(row: try PublishedRows.babiLong(["task": nil]), parts: ["line 2, task", "such as qa1"]),
            Damage(row: try PublishedRows.babiLong(["target": "attic"]), parts: ["line 2, target: attic", "label of qa1: bathroom"]),
            Damage(row: try PublishedRows.babiLong(["question": 1]), parts: ["line 2, question: must be a text"]),
            Damage(row: #"{"target":"t","question":"q"}"#, parts: ["line 2, input: is missing"]),
        ]
    }

    @Test(arguments: try damages()) func brokenRowsAreRefused(_ damage: Damage) throws {
        let path = try files.scratch.write("\(PublishedRows.longBench("lcc"))\n\(damage.row)\n", to: "tasks.jsonl")
        let error = try #require(throws: InputError.self) { try TaskFile.read(path, reading: PublishedRows.reading()) }
        #expect(error.code == .invalidData && error.file == path)
        for part in damage.parts { #expect(error.description.contains(part), "\(error)") }
    }

    @Test func withoutAReadingBenchmarksAreRefused() throws {
        for row in try [PublishedRows.longBench("lcc"), PublishedRows.babiLong()] {
            let path = try files.scratch.write(row, to: "tasks.jsonl")
            let error = try #require(throws: InputError.self) { try TaskFile.read(path) }
            #expect(error.code == .unsupported && error.field == "line 1", "\(error)")
        }
    }
}
