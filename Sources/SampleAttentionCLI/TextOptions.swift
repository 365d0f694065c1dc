import ArgumentParser
import AttentionCore
import Evaluation
import Foundation
import HaystackModel
import LanguageModels
import ModelFormats
import RunProvenance
import SampleAttention

/// Options of commands that read prompts from texts.
struct TextOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Text file, UTF-8; repeatable (default: the bundled books).", valueName: "file"))
    var text: [String] = []

    @Option(help: ArgumentHelp("Prompt length in tokens, begin-of-text included; repeatable.", valueName: "tokens"))
    var length: [Int] = []

    func texts(_ session: Session) throws(InputError) -> [PromptText] {
        try Self.distinct(text.isEmpty ? HaystackModel.texts.map(\.path) : text, session: session)
    }

    static func distinct(_ paths: [String], session: Session) throws(InputError) -> [PromptText] {
        try PromptText.distinct(paths, tokenizer: session.model.tokenizer) { Message.write("note: \($0)") }
    }

    /// The lengths asked for, ascending and without repeats; where none are, the usual ones as far as the model's context reaches.
    func lengths(_ session: Session, default standard: [Int]) throws(InputError) -> [Int] {
        let usual = standard.map { min($0, session.model.description.maximumPositions) }
        let lengths = Set(length.isEmpty ? usual : length).sorted()
        for length in lengths { try Self.check(length, session: session) }
        return lengths
    }

    static func check(_ length: Int, session: Session) throws(InputError) {
        guard (2...session.model.description.longestSequence).contains(length) else {
            throw InputError(
                .usage, field: "length", value: "\(length)",
                rule: "must be from 2 to the model's max_position_embeddings of \(session.model.description.longestSequence)")
        }
    }
}
