import AttentionCore
import AttentionKernels
import AttentionLayers
import Autotuning
import DurableFiles
import RunProvenance
import SampleAttention

/// The search on every head alone, on layers from any source: what each head could be, without a model that says what that costs its
/// answers. What a head must keep is then its own retained mass.
public struct HeadStudy {
    /// How far a study has come.
    public struct Progress: Sendable {
        public let done, total: Int
        public let tokens, layer: Int
    }

    /// What one head could be at one length.
    public struct Head: Sendable, Encodable {
        public let length, layer, head: Int
        /// Predicted milliseconds of full attention.
        public let denseMilliseconds: Double
        /// Trials of which none of the same family of patterns is both cheaper and nearer to full attention; by family, then by cost.
        public let front: [FrozenTrial]

        /// The cheapest trial that keeps so much of the mass on average; nil where full attention is no dearer.
        public func cheapest(meanMass: Double) -> FrozenTrial? {
            front.filter { $0.measured.meanMass >= meanMass && $0.cost < denseMilliseconds }.min { $0.cost < $1.cost }
        }
    }

    private let settings: TuningSettings
    private let latency: LatencyModel
    private let trials: WorkExecutor<TrialItem, FrozenTrial>

    /// - Parameters:
    ///   - settings: trials, sampler, space and seed are used; lengths are those of the sources.
    ///   - journal: its trials are not made again, and those that are made are appended to it; nil keeps nothing on the disk.
    public init(settings: TuningSettings, latency: LatencyModel, journal: HeadStudyJournal? = nil) {
        self.settings = settings
        self.latency = latency
        trials = WorkExecutor(journal: journal, item: TrialItem.init)
    }

    /// Searches the shortest prompt, and measures what that leaves on the longer ones.
    ///
    /// - Parameters:
    ///   - sources: of one model, one a length.
    ///   - progress: called after each round of trials of a layer.
    /// - Returns: the heads by length, layer and head.
    /// - Throws: `InputError` (`invalidData`) for a layer with numbers that are not finite, what the sources throw, and where the
    ///   journal cannot be written.
    public func run(_ sources: [any LayerSource], progress: (Progress) -> Void = { _ in }) throws -> [Head] {
        let sources = sources.sorted { $0.tokens < $1.tokens }
        precondition(zip(sources, sources.dropFirst()).allSatisfy { $0.tokens < $1.tokens }, "there is one prompt a length")
        var survivors: [HeadIndex: [SampleAttentionParameters]]?
        var heads: [Head] = []
        for source in sources {
            heads += try run(source, survivors: survivors, of: sources.map(\.tokens), progress: progress)
            survivors = search(source.kernel, lengths: sources.map(\.tokens)).survivors(length: source.tokens)
        }
        return heads
    }

    private func search(_ kernel: AttentionKernel, lengths: [Int]) -> HeadSearch {
        var settings = settings
        settings.lengths = lengths
        return HeadSearch(kernel: kernel, settings: settings, latency: latency, trials: trials, warmStart: nil)
    }

    private func run(
        _ source: some LayerSource, survivors: [HeadIndex: [SampleAttentionParameters]]?, of lengths: [Int],
        progress: (Progress) -> Void
    ) throws -> [Head] {
        let search = search(source.kernel, lengths: lengths)
        let workspace = AttentionWorkspace()
        let total = source.layers.count * search.rounds(survivors)
        var (done, dense) = (0, 0.0)
        try source.forEachLayer { attention in
            dense = 1000 * latency.seconds(HeadWork(nil, pattern: .dense, shape: attention.inputs.shape))
            try search.search(attention, survivors: survivors, workspace: workspace, isOver: { false }) {
                done += 1
                progress(Progress(done: min(done, total), total: total, tokens: source.tokens, layer: attention.layer))
            }
        }
        return trials.trials(length: source.tokens).sorted { $0.key < $1.key }.map { index, trials in
            Head(
                length: source.tokens, layer: index.layer, head: index.head, denseMilliseconds: dense,
                front: HeadProbing.fronts(trials))
        }
    }
}

extension HeadStudy {
    /// A config in which each head has the cheapest of its trials that keeps so much of its mass on average, and full attention where
    /// there is none, or where the head was not searched.
    public static func config(
        _ heads: [Head], meanMass: Double, model: ModelIdentity, provenance: Provenance, denseBelow: Int
    ) -> TunedConfig {
        let buckets = Set(heads.map(\.length)).sorted().map { length in
            let own = heads.filter { $0.length == length }
            let chosen = Dictionary(
                uniqueKeysWithValues: own.map { (HeadIndex(layer: $0.layer, head: $0.head), $0.cheapest(meanMass: meanMass)) })
            let dense = own.first?.denseMilliseconds
            return TunedConfig.Bucket(
                length: length,
                layers: (0..<model.layers).map { layer in
                    (0..<model.queryHeads).map { head in
                        guard let trial = chosen[HeadIndex(layer: layer, head: head)] ?? nil else {
                            return TunedConfig.Head(parameters: .dense, measured: .dense(milliseconds: dense))
                        }
                        return TunedConfig.Head(parameters: trial.parameters, measured: trial.measured)
                    }
                })
        }
        return TunedConfig(model: model, provenance: provenance, denseBelow: denseBelow, defaults: .dense, buckets: buckets)
    }
}
