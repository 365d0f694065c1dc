import AttentionCore
import ModelFormats

/// Interleaves running prose with facts, questions about them with their answers, and repeated paragraphs, piece by piece.
struct TextInterleaver {
    /// What a piece is for: prose and facts, what has to be answered, or a paragraph that has stood before.
    enum PieceKind: Hashable { case plain, answer, repetition }

    struct Piece {
        let text: String
        let kind: PieceKind
        /// By itself; pieces may take fewer together.
        let tokens: Int
    }

    private let paragraphs: [String]
    private let texture: InterleavedText.Texture
    private let room: Int
    private var random: SeededGenerator
    private let tokenizer: Tokenizer
    private var used = 0
    private var pieces: [Piece] = []

    /// Pieces of some more than `room` tokens.
    ///
    /// - Parameter paragraphs: at least one; taken in order from a place that `random` chooses, and over again.
    static func pieces(
        _ paragraphs: [String], texture: InterleavedText.Texture, room: Int, random: SeededGenerator, tokenizer: Tokenizer
    ) -> [Piece] {
        var interleaver = TextInterleaver(paragraphs: paragraphs, texture: texture, room: room, random: random, tokenizer: tokenizer)
        interleaver.interleave()
        return interleaver.pieces
    }

    private init(
        paragraphs: [String], texture: InterleavedText.Texture, room: Int, random: SeededGenerator, tokenizer: Tokenizer
    ) {
        self.paragraphs = paragraphs
        self.texture = texture
        self.room = room
        self.random = random
        self.tokenizer = tokenizer
    }

    private mutating func interleave() {
        var unstated = NeedleFact.distinct(min(NeedleFact.mostFacts / 2, 1 + room / texture.tokensPerFact), using: &random)[...]
        var stated: [NeedleFact] = []
        var repeatable: [String] = []
        var next = Int.random(in: 0..<paragraphs.count, using: &random)
        // Pieces may take fewer tokens together than each by itself.
        while used < room + room / 16 + 64 {
            let paragraph = paragraphs[next % paragraphs.count]
            next += 1
            let tokens = put(paragraph, .plain)
            if texture.repetitionTokens.contains(tokens) { repeatable.append(paragraph) }
            for _ in 0..<count(tokens, each: texture.tokensPerFact) {
                guard let fact = unstated.popFirst() else { break }
                stated.append(fact)
                put(fact.statement + "\n", .plain)
            }
            for _ in 0..<count(tokens, each: texture.tokensPerQuestion) {
                guard let fact = stated.randomElement(using: &random) else { break }
                put(fact.question, .plain)
                put(" " + fact.code, .answer)
                put("\n", .plain)
            }
            // The last few are too near to be a long way to look back.
            if count(tokens, each: texture.tokensPerRepetition) > 0, repeatable.count > 8 {
                put(repeatable.dropLast(4).randomElement(using: &random)!, .repetition)
            }
        }
    }

    /// - Returns: the piece's tokens, by itself.
    @discardableResult private mutating func put(_ text: String, _ kind: PieceKind) -> Int {
        let tokens = tokenizer.encode(text).count
        pieces.append(Piece(text: text, kind: kind, tokens: tokens))
        used += tokens
        return tokens
    }

    /// As many as are due after so many tokens, in the mean.
    private mutating func count(_ tokens: Int, each: Int) -> Int {
        let due = Double(tokens) / Double(each)
        return Int(due) + (random.uniform() < due - due.rounded(.down) ? 1 : 0)
    }
}
