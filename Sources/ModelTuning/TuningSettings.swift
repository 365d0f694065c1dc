import AttentionCore
import Autotuning
import DurableFiles

/// What a study does, apart from the model, the texts and the machine: the same settings give the same config.
public struct TuningSettings: Hashable, Sendable, Codable {
    /// Prompt lengths that get parameters of their own, ascending; the shortest is searched, the others follow.
    public var lengths: [Int]
    public var floor = QualityFloor()
    /// Share of the floor's room that the config may use on the tuning text: other text takes the rest.
    public var headroom = 0.7
    /// Milliseconds of attention a prompt of each length may take: then the least loss is sought, and the floor only reported.
    public var budgetMilliseconds: Double?
    /// Candidates of each head at the shortest length.
    public var trials = 32
    public var sampler = SamplerKind.tpe
    public var space = SearchSpace()
    public var seed: UInt64 = 1
    /// Options of a head that answers hang on that are followed through the model to the scores of every position: so many with key blocks,
    /// and so many of other patterns.
    public var probesPerHead = 2
    /// Prompts of up to so many tokens, and of the shortest length, get predictions of their own. A pass backward through longer ones takes far
    /// longer than one forward, and a head's damage keeps to its output error from length to length.
    public var longestPredicted = 8192
    /// Configs tried on whole prompts for each length, and up to three more where none of them holds.
    public var checksPerLength = 5

    public init(lengths: [Int]) { self.lengths = lengths }

    /// The first setting that a continued study must share and does not; lengths may be added.
    func difference(from other: TuningSettings) -> JournalDifference? {
        .first(ofMembers: self, other, named: "settings.", except: ["lengths"])
    }
}
