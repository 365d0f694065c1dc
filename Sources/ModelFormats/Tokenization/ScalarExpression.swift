/// A regular expression as a program that is run on scalars, alternatives in order, with what is still to be tried on a stack.
///
/// Source: Thompson's and Pike's virtual machines, as in Cox, "Regular Expression Matching: the Virtual Machine Approach" (2009), with
/// backtracking, because which alternative comes first matters. No state is tried often: an attempt at n scalars is O(program · n).
struct ScalarExpression: Hashable, Sendable {
    enum Instruction: Hashable, Sendable {
        case set(ScalarSet)
        case scalar(Unicode.Scalar, ignoringCase: Bool)
        /// As many scalars of a set as there are, at least `least`; fewer later unless it keeps them.
        case run(ScalarSet, least: Int, keeps: Bool)
        /// One place first, the other when that fails.
        case fork(first: Int, second: Int)
        case jump(Int)
        /// A program that must (not) match here, without taking anything.
        case ahead(Int, isNegative: Bool)
        /// A program whose first match is kept.
        case whole(Int)
        case lineStart, lineEnd, textStart, textEnd, accept
    }

    private static let mostInstructions = 1 << 12

    /// Program 0 is the expression, the others parts of it that are matched by themselves.
    private var programs: [[Instruction]] = [[]]
    private var count = 0

    /// - Returns: nil when the pattern holds what is not known, or becomes too long.
    init?(pattern: String) {
        guard let node = ExpressionParser.node(pattern) else { return nil }
        self.init(node)
    }

    /// - Returns: nil when the program becomes too long.
    init?(_ node: ExpressionNode) {
        guard append(node, to: 0), emit(.accept, to: 0) else { return nil }
    }

    private mutating func emit(_ instruction: Instruction, to program: Int) -> Bool {
        count += 1
        programs[program].append(instruction)
        return count <= Self.mostInstructions
    }

    private mutating func append(_ node: ExpressionNode, to program: Int) -> Bool {
        switch node {
        case .set(let set): return emit(.set(set), to: program)
        case .scalar(let scalar, let ignoringCase): return emit(.scalar(scalar, ignoringCase: ignoringCase), to: program)
        case .sequence(let parts): return parts.allSatisfy { append($0, to: program) }
        case .alternatives(let parts): return append(alternatives: parts, to: program)
        case .repeated(let part, let least, let most, let greed): return append(part, least, most, greed, to: program)
        case .ahead(let part, let isNegative):
            guard let part = appendProgram(part) else { return false }
            return emit(.ahead(part, isNegative: isNegative), to: program)
        case .lineStart: return emit(.lineStart, to: program)
        case .lineEnd: return emit(.lineEnd, to: program)
        case .textStart: return emit(.textStart, to: program)
        case .textEnd: return emit(.textEnd, to: program)
        }
    }

    private mutating func appendProgram(_ node: ExpressionNode) -> Int? {
        programs.append([])
        let program = programs.count - 1
        return append(node, to: program) && emit(.accept, to: program) ? program : nil
    }

    private mutating func append(alternatives parts: [ExpressionNode], to program: Int) -> Bool {
        var ends: [Int] = []
        for (index, part) in parts.enumerated() {
            let fork = programs[program].count
            let isLast = index == parts.count - 1
            if !isLast, !emit(.fork(first: fork + 1, second: fork), to: program) { return false }
            guard append(part, to: program) else { return false }
            if isLast { break }
            ends.append(programs[program].count)
            guard emit(.jump(0), to: program) else { return false }
            programs[program][fork] = .fork(first: fork + 1, second: programs[program].count)
        }
        for end in ends { programs[program][end] = .jump(programs[program].count) }
        return true
    }

    private mutating func append(
        _ part: ExpressionNode, _ least: Int, _ most: Int?, _ greed: ExpressionNode.Greed, to program: Int
    ) -> Bool {
        if case .set(let set) = part, most == nil, greed != .lazy {
            return emit(.run(set, least: least, keeps: greed == .possessive), to: program)
        }
        if greed == .possessive {
            guard let part = appendProgram(.repeated(part, least: least, most: most, .greedy)) else { return false }
            return emit(.whole(part), to: program)
        }
        for _ in 0..<least where !append(part, to: program) { return false }
        guard let most else { return append(loop: part, isLazy: greed == .lazy, to: program) }
        // Each further one may be left out with all that follow it.
        var forks: [Int] = []
        for _ in least..<most {
            forks.append(programs[program].count)
            guard emit(.jump(0), to: program), append(part, to: program) else { return false }
        }
        let end = programs[program].count
        for fork in forks { programs[program][fork] = Self.fork(fork + 1, end, isLazy: greed == .lazy) }
        return true
    }

    private mutating func append(loop part: ExpressionNode, isLazy: Bool, to program: Int) -> Bool {
        let fork = programs[program].count
        guard emit(.jump(0), to: program), append(part, to: program), emit(.jump(fork), to: program) else { return false }
        programs[program][fork] = Self.fork(fork + 1, programs[program].count, isLazy: isLazy)
        return true
    }

    private static func fork(_ inside: Int, _ outside: Int, isLazy: Bool) -> Instruction {
        isLazy ? .fork(first: outside, second: inside) : .fork(first: inside, second: outside)
    }

    /// The end of the match that begins at `start`, `range.upperBound` being the end of the text; nil when none does.
    func matchEnd(from start: Int, in range: Range<Int>, _ scalars: TextScalars) -> Int? {
        ExpressionRun(programs: programs, scalars: scalars, range: range).end(of: 0, from: start)
    }
}
