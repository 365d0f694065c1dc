/// One text that programs of an expression are run on.
struct ExpressionRun {
    /// A place to go on from when what was tried fails: at `position`, and then at every scalar before it down to `least`.
    private struct Choice {
        let instruction: Int
        let least: Int
        var position: Int
    }

    /// So many failures are usual; after them states that have failed are remembered.
    private static let usualFailures = 256

    let programs: [[ScalarExpression.Instruction]]
    let scalars: TextScalars
    let range: Range<Int>

    /// The end of a program's first match from `start`, nil when it has none.
    func end(of program: Int, from start: Int) -> Int? {
        let instructions = programs[program]
        var choices: [Choice] = []
        var failures = 0
        var failed: Set<Int> = []
        var (instruction, position) = (0, start)
        while true {
            if let next = step(instructions[instruction], at: instruction, &position, &choices) {
                instruction = next
                continue
            }
            if case .accept = instructions[instruction] { return position }
            repeat {
                guard let choice = take(&choices) else { return nil }
                (instruction, position) = choice
                failures += 1
                // A state is numbered by its place in the program and in the text.
            } while failures > Self.usualFailures && !failed.insert((position - start) * instructions.count + instruction).inserted
        }
    }

    /// The next place to try.
    private func take(_ choices: inout [Choice]) -> (instruction: Int, position: Int)? {
        guard let last = choices.last else { return nil }
        if last.position > last.least {
            choices[choices.count - 1].position = before(last.position)
        } else {
            choices.removeLast()
        }
        return (last.instruction, last.position)
    }

    private func before(_ position: Int) -> Int { scalars.areSpelled ? position - 1 : scalars.scalar(before: position).start }

    /// Runs one instruction. - Returns: the next one; nil when it does not match, or accepts.
    private func step(
        _ step: ScalarExpression.Instruction, at instruction: Int, _ position: inout Int, _ choices: inout [Choice]
    ) -> Int? {
        switch step {
        case .set(let set): return take(&position) { set.contains($0) } ? instruction + 1 : nil
        case .scalar(let own, let ignoringCase):
            return take(&position) { $0 == own || ignoringCase && $0.folded == own.folded } ? instruction + 1 : nil
        case .run(let set, let least, let keeps):
            guard let end = run(set, least: least, from: position) else { return nil }
            if !keeps, end.last > end.least {
                choices.append(Choice(instruction: instruction + 1, least: end.least, position: before(end.last)))
            }
            position = end.last
        case .fork(let first, let second):
            choices.append(Choice(instruction: second, least: position, position: position))
            return first
        case .jump(let target): return target
        case .ahead(let program, let isNegative):
            return (end(of: program, from: position) == nil) == isNegative ? instruction + 1 : nil
        case .whole(let program):
            guard let end = end(of: program, from: position) else { return nil }
            position = end
        case .lineStart: return position == range.lowerBound || scalars.bytes[position - 1] == UInt8(ascii: "\n") ? instruction + 1 : nil
        case .lineEnd: return position == range.upperBound || scalars.bytes[position] == UInt8(ascii: "\n") ? instruction + 1 : nil
        case .textStart: return position == range.lowerBound ? instruction + 1 : nil
        case .textEnd: return position == range.upperBound ? instruction + 1 : nil
        case .accept: return nil
        }
        return instruction + 1
    }

    private func take(_ position: inout Int, _ matches: (Unicode.Scalar) -> Bool) -> Bool {
        guard position < range.upperBound, case let (scalar, next) = scalars.scalar(at: position), matches(scalar) else { return false }
        position = next
        return true
    }

    /// Where the `least` first scalars of a set end, and where all of them do.
    private func run(_ set: ScalarSet, least: Int, from start: Int) -> (least: Int, last: Int)? {
        var (position, count, leastEnd) = (start, 0, start)
        while take(&position, { set.contains($0) }) {
            count += 1
            if count == least { leastEnd = position }
        }
        return count >= least ? (leastEnd, position) : nil
    }
}

extension Unicode.Scalar {
    /// The scalar that stands for all its cases; itself where they are not single scalars.
    fileprivate var folded: Unicode.Scalar {
        if isASCII { return "A"..."Z" ~= self ? Unicode.Scalar(value | 0x20)! : self }
        let upper = properties.uppercaseMapping.unicodeScalars
        let lower = (upper.count == 1 ? upper.first! : self).properties.lowercaseMapping.unicodeScalars
        return lower.count == 1 ? lower.first! : self
    }
}
