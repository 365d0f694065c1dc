import AttentionCore
import Autotuning

/// How much damage the heads' options may have together, as predicted and in shares of the floor, on text and at answers.
public struct DamageAllotment: Hashable, Sendable, Codable {
    public let text, answers: Double

    public init(text: Double, answers: Double) { (self.text, self.answers) = (text, answers) }
}

/// Follows what allotments came to on whole prompts: each kind of damage by itself, for predictions of one may be good and those of the
/// other not.
///
/// Text first, which all heads share, where it is what binds. Answers hang on few heads, and what they lose jumps when one of these gets
/// another option; so their allotment grows only when text has what it may have, and what was won by then is not put at risk. After such a jump
/// the allotment that held stands: between the two there is mostly no option.
package struct AllotmentSearch {
    private var text = OneKind(), answers = OneKind()
    package private(set) var allotment: DamageAllotment
    /// Nothing more is to be expected of another check.
    package private(set) var isSettled = false

    package init(_ start: DamageAllotment) { allotment = start }

    /// - Parameters:
    ///   - used: of the allotment, as predicted.
    ///   - lost: what that came to, in shares of what may be lost.
    package mutating func learn(used: FloorShares, lost: FloorShares) {
        text.learn(allotment.text, lost.text)
        answers.learn(allotment.answers, lost.answers)
        let isTextDone = lost.text > 0.9 || used.text < 0.8 * allotment.text
        isSettled = lost.worst <= 1 && lost.worst > 0.9 && isTextDone && (lost.answers > 0.15 || answers.hasMissed)
        allotment = DamageAllotment(
            text: text.next(after: allotment.text, lost.text),
            answers: lost.answers <= 1 && (!isTextDone || lost.text > 1)
                ? allotment.answers : answers.beforeJump ?? answers.next(after: allotment.answers, lost.answers))
    }

    private struct OneKind {
        /// The most that held, and the least that missed, with what they came to.
        private var held, missed: (allotted: Double, share: Double)?

        var hasMissed: Bool { missed != nil }
        /// What held, where more came to far more than in proportion: an option that one head has got.
        var beforeJump: Double? {
            guard let held, let missed, missed.share > 2 * held.share * missed.allotted / held.allotted else { return nil }
            return held.allotted
        }

        mutating func learn(_ allotted: Double, _ share: Double) {
            if share <= 1 {
                if allotted > held?.allotted ?? -1 { held = (allotted, share) }
            } else if allotted < missed?.allotted ?? .infinity {
                missed = (allotted, share)
            }
        }

        /// In proportion to the room until one allotment holds and one misses, then between the two in logarithms, not too near to either.
        func next(after last: Double, _ share: Double) -> Double {
            guard let held, let missed, missed.allotted > held.allotted else {
                // A miss is left by a good step, for choices that differ little come to much the same.
                return last * min(share > 1 ? 0.75 : 4, max(0.15, 0.93 / .larger(share, 1e-3)))
            }
            // What loses nothing yet says nothing of where it begins.
            let position = held.share < 0.05 ? 0.5 : (0.95 - held.share) / (missed.share - held.share)
            return held.allotted * exponential(min(0.75, max(0.25, position)) * logarithm(missed.allotted / held.allotted))
        }
    }
}
