import ArgumentParser
import AttentionCore
import AttentionKernels
import Autotuning
import Foundation
import HaystackModel
import LanguageModels
import ModelFormats
import Parallelism
import Reporting
import RunProvenance
import SampleAttention

/// Options of every command that computes.
struct MachineOptions: ParsableArguments {
    @Option(help: "Worker threads (default: the cores that the process may run on; of ranks on one machine, its share of them).")
    var threads: Int?

    @Option(help: "Instruction set: \(ParameterOptions.choices(of: InstructionSet.self)) (default: the best this machine has).")
    var isa: String?

    @Option(
        help: """
            Operands of matrix products: fp32, bf16 (sums are FP32 in both), or auto: bf16 where this machine was measured to multiply it \
            faster, as on Zen 4 and 5 (twice) and in Intel's AMX (six times and more), not on Intel's vdpbf16ps (half).
            """)
    var precision = automaticPrecision

    @Option(help: "Seed of everything random.")
    var seed: UInt64 = 1

    @Flag(help: "Print the result as one JSON object on standard output.")
    var json = false

    static let automaticPrecision = "auto"

    func makeKernel() throws(InputError) -> AttentionKernel {
        let count = threads ?? Ranks.ownCores
        let most = max(Self.alwaysAllowedThreads, 2 * WorkerPool.availableCores)
        guard (1...most).contains(count) else {
            throw InputError(.usage, field: "threads", value: "\(count)", rule: "must be from 1 to \(most)")
        }
        let set = try instructionSet()
        return try AttentionKernel(instructionSet: set, precision: precision(instructionSet: set), pool: WorkerPool(threads: count))
    }

    /// More threads than cores only cost time; some are allowed everywhere, so that settings move from machine to machine.
    private static let alwaysAllowedThreads = 64

    private func precision(instructionSet: InstructionSet) throws(InputError) -> Precision {
        guard precision == Self.automaticPrecision else { return try Self.precision(named: precision) }
        let fp32 = try AttentionKernel(instructionSet: instructionSet, pool: WorkerPool(threads: 1))
        let rates = try MachineCache.standard().precisionRates(for: Provenance(kernel: fp32, seed: seed)) { () throws(InputError) in
            try PrecisionRates(instructionSet: instructionSet)
        }
        return rates.fastest
    }

    static func precision(named name: String) throws(InputError) -> Precision {
        guard let precision = Precision(rawValue: name) else {
            let known = ([automaticPrecision] + Precision.allCases.map(\.rawValue)).joined(separator: ", ")
            throw InputError(.usage, field: "precision", value: name, rule: "must be one of \(known)")
        }
        return precision
    }

    private func instructionSet() throws(InputError) -> InstructionSet {
        guard let isa else { return .best }
        guard let set = InstructionSet(rawValue: isa) else {
            let known = InstructionSet.allCases.map(\.rawValue).joined(separator: ", ")
            throw InputError(.usage, field: "isa", value: isa, rule: "must be one of \(known)")
        }
        return set
    }
}

/// Options of every command that runs a model.
struct ModelOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Hugging Face model folder or GGUF file (default: the bundled model).", valueName: "path"))
    var model: String?

    @Flag(help: "Run a model although it holds tensors that its family does not have, such as biases; they are left out.")
    var ignoreExtraTensors = false

    @OptionGroup var machine: MachineOptions

    func open() throws(InputError) -> Session { try Session(options: self) }
}

/// What a command computes on, and what its outputs say of that.
protocol Run {
    var kernel: AttentionKernel { get }
    var seed: UInt64 { get }
    /// Of the bundled model; nil for others, which have none before they are tuned.
    var bundledConfig: String? { get }

    func identity() throws(InputError) -> ModelIdentity
}

extension Run {
    func provenance(texts: [Provenance.Text] = [], lengths: [Int] = []) -> Provenance {
        Provenance(kernel: kernel, seed: seed, texts: texts, lengths: lengths)
    }

    /// Loads a config and checks it against the model; other hardware is a warning, but for the bundled config, which nobody chose.
    ///
    /// - Parameter text: the file's, where it has been read.
    func config(at path: String, text: String? = nil) throws(InputError) -> TunedConfig {
        let config =
            if let text { try TunedConfig(json: Data(text.utf8), path: path) } else { try TunedConfig(contentsOf: path) }
        try config.check(against: identity(), path: path)
        let own = provenance().machine
        if config.provenance.machine != own, path != bundledConfig {
            Message.write("warning: \(path): tuned on \(config.provenance.machine.summary), this is \(own.summary)")
        }
        return config
    }
}

/// A loaded model on a kernel.
struct Session: Run {
    let model: LanguageModel
    let seed: UInt64
    let json: Bool
    /// Reading, checking and packing the model.
    let loadSeconds: Double
    let bundledConfig: String?

    var kernel: AttentionKernel { model.kernel }

    init(options: ModelOptions) throws(InputError) {
        let kernel = try options.machine.makeKernel()
        let start = ContinuousClock.now
        let steps = 1000
        let progress = ProgressBar("load", total: steps)
        model = try LanguageModel.load(
            from: options.model ?? HaystackModel.modelDirectory.path, kernel: kernel, ignoresExtraTensors: options.ignoreExtraTensors
        ) {
            progress.update(done: Int($0 * Double(steps)))
        }
        progress.finish()
        loadSeconds = (ContinuousClock.now - start).seconds
        if let name = model.unreadTensors.first {
            let count = model.unreadTensors.count
            Message.write(
                "warning: \(model.weights.listing): "
                    + (count == 1 ? "1 tensor is not read: \(name)" : "\(count) tensors are not read, such as \(name)"))
        }
        if let note = model.description.windowNote { Message.write("note: \(note)") }
        seed = options.machine.seed
        json = options.machine.json
        bundledConfig = options.model == nil ? HaystackModel.tunedConfig.path : nil
    }

    func identity() throws(InputError) -> ModelIdentity { try model.identity() }

    /// The layers in which sparse attention can gain something, for commands that look for that.
    ///
    /// - Throws: `InputError` (`usage`) when every layer has a window of its own.
    func sparseLayers() throws(InputError) -> [Int] {
        let layers = model.description.fullAttentionLayers
        guard !layers.isEmpty else {
            throw InputError(
                .usage, file: model.files.path, field: "model",
                rule: "every layer has a window of its own, which it keeps: there is no layer in which sparse attention can gain")
        }
        return layers
    }
}

extension Provenance {
    /// This tool on this machine, now.
    init(kernel: AttentionKernel, seed: UInt64, texts: [Text] = [], lengths: [Int] = []) {
        self.init(
            tool: .init(version: ToolVersion.version, commit: BuildRecord.commit),
            machine: .init(
                cpu: Machine.cpuName, instructionSet: kernel.instructionSet.rawValue, threads: kernel.pool.threads,
                precision: kernel.precision),
            seed: seed, texts: texts, lengths: lengths, date: Date().formatted(.iso8601), threadsBusy: kernel.pool.busyShare,
            ranks: Ranks.machines)
    }
}
