import AttentionCore
import LanguageModels
import SampleAttention

/// A config on text it was not tuned on, against dense attention: at the tuned lengths and between them.
public struct HeldOutCheck {
    public let model: LanguageModel
    public let config: TunedConfig
    public let seed: UInt64

    /// The floors that the rows of a tuned length miss together, in words; lengths in between are shown and not judged, for no
    /// prompts of theirs were ever tried.
    public static func misses(_ rows: [Row], floor: QualityFloor) -> [String] {
        let lengths = Set(rows.filter(\.isTunedLength).map(\.length)).sorted()
        return lengths.flatMap { length in
            QualityFloor.misses(rows.filter { $0.length == length }.map(\.quality), floor: floor).map { "\(length) tokens: \($0)" }
        }
    }

    /// The heads that keep less of their mass than the floor asks for, in words.
    public static func misses(_ heads: [HeadTransfer], floor: QualityFloor) -> [String] {
        guard let least = floor.mass else { return [] }
        return heads.filter { $0.heldOut.meanMass < least }.map {
            "\($0.length) tokens, layer \($0.layer), head \($0.head): mean mass \(($0.heldOut.meanMass * 1000).rounded() / 1000), floor \(least)"
        }
    }

    public init(model: LanguageModel, config: TunedConfig, seed: UInt64) {
        self.model = model
        self.config = config
        self.seed = seed
    }

    /// One prompt.
    public struct Row: Sendable, Codable {
        public let text: String
        public let kind: TuningPrompt.Kind
        public let length: Int
        /// False for a length between the tuned ones.
        public let isTunedLength: Bool
        public let quality: Quality
        public let density: Double
        public let prefillSecondsDense, prefillSecondsTuned, attentionSecondsDense, attentionSecondsTuned: Double
    }

    /// The tuned lengths, and one between the two shortest of them: parameters for it follow from its neighbours.
    public var lengths: [Int] { Self.lengths(tuned: config.buckets.map(\.length)) }

    private static func lengths(tuned: [Int]) -> [Int] {
        guard tuned.count >= 2 else { return tuned }
        return (tuned + [(tuned[0] + tuned[1]) / 2]).sorted()
    }

    /// - Parameter text: another one than was tuned on, or the same: plain prompts are then from its end, woven ones from other places.
    /// - Throws: `InputError` for a text that is too short, and as `LanguageModel.prefill`.
    public func run(_ text: TuningText, advance: (String) -> Void) throws -> [Row] {
        try lengths.flatMap { length in
            try Self.prompts(text, length: length, seed: seed).map { prompt in
                advance("\(length) tokens, \(prompt.kind.rawValue)")
                return try row(prompt, length: length)
            }
        }
    }

    /// Prompts there are, those of `transfer` included.
    public var promptCount: Int {
        config.buckets.count + lengths.map(TuningText.promptCounts).reduce(0) { $0 + $1.plain + $1.woven }
    }

    /// Finds out before anything is tuned that the text does not do for every length.
    ///
    /// - Throws: `InputError` for a text that is too short, or a length in which nothing can be asked.
    public static func checkPrompts(_ text: TuningText, tunedLengths: [Int], seed: UInt64) throws(InputError) {
        for length in lengths(tuned: tunedLengths) { _ = try prompts(text, length: length, seed: seed) }
    }

    private static func prompts(_ text: TuningText, length: Int, seed: UInt64) throws(InputError) -> [TuningPrompt] {
        let counts = TuningText.promptCounts(length: length)
        var prompts: [TuningPrompt] = []
        for index in 1...counts.plain { prompts.append(try text.plain(length: length, position: Double(index) / Double(counts.plain))) }
        for number in 0..<counts.woven { prompts.append(try text.woven(length: length, seed: seed, number: 100 + number)) }
        return prompts
    }

    private func row(_ prompt: TuningPrompt, length: Int) throws -> Row {
        let dense = try PrefillTrace(prompt.tokens, model: model, policy: .dense)
        let tuned = try PrefillTrace(prompt.tokens, model: model, policy: .tuned(config))
        return Row(
            text: prompt.name, kind: prompt.kind, length: length, isTunedLength: config.buckets.contains { $0.length == length },
            quality: Quality(try tuned.divergence(from: dense), prompt: prompt), density: tuned.report.density,
            prefillSecondsDense: dense.report.seconds, prefillSecondsTuned: tuned.report.seconds,
            attentionSecondsDense: dense.report.attentionSeconds, attentionSecondsTuned: tuned.report.attentionSeconds)
    }
}
