import AttentionCore
import Foundation
import RunProvenance
import SampleAttention

/// A calibrated machine: the model's coefficients, and the measurements that they come from.
///
/// JSON with sorted keys, one field a line.
public struct LatencyFile: Hashable, Sendable, Codable {
    /// The only schema this version reads and writes.
    public static let currentSchema = 1

    /// `currentSchema`.
    public let schemaVersion: Int
    /// Tool, machine, seed, measured lengths, date.
    public let provenance: Provenance
    /// d of the heads that were measured.
    public let headDimension: Int
    /// Coefficients by the names of `HeadWork.Term`: wall seconds of one unit.
    public let secondsPerUnit: [String: Double]
    /// The mean of |predicted / measured − 1| over the layers that were fitted, as a share: 0.05 is 5 %.
    public let fitMeanAbsolutePercentageError: Double
    /// The same over the layers that were held out: what to expect of new ones.
    public let meanAbsolutePercentageError: Double
    /// From which lengths on sparse attention pays.
    public let crossovers: [DenseCrossover]
    /// Every measured layer.
    public let residuals: [Residual]

    /// One measured layer beside its prediction.
    public struct Residual: Hashable, Sendable, Codable {
        /// The kind of layer, and its parameters.
        public let kind, configuration: String
        /// Tokens, and query heads.
        public let length, heads: Int
        /// It had no say in the fit.
        public let isHeldOut: Bool
        /// Wall seconds of the layer.
        public let measuredSeconds, predictedSeconds: Double
        /// What its heads had to do, by the names of `HeadWork.Term`; without what is 0.
        public let work: [String: Double]

        /// - Parameter measuredSeconds: positive.
        package init(
            kind: String, configuration: String, length: Int, heads: Int, isHeldOut: Bool, measuredSeconds: Double,
            predictedSeconds: Double, work: [String: Double]
        ) {
            self.kind = kind
            self.configuration = configuration
            self.length = length
            self.heads = heads
            self.isHeldOut = isHeldOut
            self.measuredSeconds = measuredSeconds
            self.predictedSeconds = predictedSeconds
            self.work = work
        }

        /// predicted / measured − 1.
        public var relativeError: Double { predictedSeconds / measuredSeconds - 1 }
    }

    /// The fitted model.
    public var model: LatencyModel {
        LatencyModel(
            machine: provenance.machine, headDimension: headDimension,
            secondsPerUnit: Dictionary(uniqueKeysWithValues: HeadWork.Term.allCases.map { ($0, secondsPerUnit[$0.rawValue] ?? 0) }))
    }

    /// A fit of this tool on this machine.
    package init(provenance: Provenance, headDimension: Int, fit: LatencyFit, crossovers: [DenseCrossover]) {
        schemaVersion = Self.currentSchema
        self.provenance = provenance
        self.headDimension = headDimension
        secondsPerUnit = Dictionary(uniqueKeysWithValues: fit.secondsPerUnit.map { ($0.rawValue, $1) })
        fitMeanAbsolutePercentageError = LatencyFit.meanAbsolutePercentageError(fit.residuals.filter { !$0.isHeldOut })
        meanAbsolutePercentageError = LatencyFit.meanAbsolutePercentageError(fit.residuals.filter(\.isHeldOut))
        self.crossovers = crossovers
        residuals = fit.residuals
    }

    /// The length from which a bare window of 256 is no slower than dense attention, at most the shortest tuned one; that one
    /// where no length was found.
    public func denseBelow(shortest: Int) -> Int {
        let measured = crossovers.first { $0.setting == DenseCrossover.Setting.window.rawValue }?.denseBelow
        return min(shortest, measured ?? shortest)
    }

    /// A line for people when held-out layers are predicted worse than on a machine that was left alone; nil when they are not.
    public var doubt: String? {
        guard meanAbsolutePercentageError > 0.1 else { return nil }
        let percent = Int((100 * meanAbsolutePercentageError).rounded())
        return
            "the latency model of \(provenance.date) is \(percent) % off on average, as on a busy machine; it is not kept"
    }

    /// True when it was measured by this tool on this machine for this head dimension, so that its coefficients hold.
    public func holds(for provenance: Provenance, headDimension: Int) -> Bool {
        self.provenance.machine == provenance.machine && self.provenance.tool == provenance.tool && self.headDimension == headDimension
    }

    /// The file's bytes.
    public func encoded() -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        // Times and coefficients are finite, so encoding cannot fail.
        return try! encoder.encode(self) + Data("\n".utf8)
    }
}

extension LatencyFile.Residual {
    init(_ sample: LatencySample, predictedSeconds: Double, isHeldOut: Bool) {
        self.init(
            kind: sample.setting.kind.rawValue, configuration: sample.setting.description, length: sample.setting.length,
            heads: sample.setting.heads, isHeldOut: isHeldOut, measuredSeconds: sample.seconds, predictedSeconds: predictedSeconds,
            work: sample.work.named.filter { $0.value != 0 })
    }
}

extension LatencyFile {
    /// Larger files are not of this kind.
    private static let mostBytes = 16 << 20

    /// Reads and checks a file.
    ///
    /// - Throws: `InputError`: a file that is missing, is none of this kind or another schema; or a coefficient that is missing,
    ///   unknown, negative or out of range, which is named.
    public init(contentsOf path: String) throws(InputError) {
        let attributes = try? FileManager.default.attributesOfItem(atPath: path)
        let size = (attributes?[.size] as? NSNumber)?.intValue ?? 0
        guard size <= Self.mostBytes, let data = FileManager.default.contents(atPath: path) else {
            throw InputError(.missingInput, file: path, rule: "the latency model must be a readable file of at most 16 MiB")
        }
        struct Header: Decodable { let schemaVersion: Int }
        let version = (try? JSONDecoder().decode(Header.self, from: data))?.schemaVersion
        guard version == Self.currentSchema else {
            throw InputError(
                .configuration, file: path, field: "schemaVersion", value: version.map { "\($0)" },
                rule: "a latency model in JSON must have the schema \(Self.currentSchema), which this version reads")
        }
        do {
            self = try JSONDecoder().decode(LatencyFile.self, from: data)
        } catch {
            let fault = DecodingFault(error)
            throw InputError(
                .configuration, file: path, field: fault.field, value: fault.value, rule: fault.rule ?? "must be a latency model in JSON")
        }
        try check(path)
    }

    private func check(_ path: String) throws(InputError) {
        let terms = Set(HeadWork.Term.allCases.map(\.rawValue))
        if let name = Set(secondsPerUnit.keys).symmetricDifference(terms).min() {
            throw InputError(
                .configuration, file: path, field: "secondsPerUnit.\(name)",
                rule: terms.contains(name) ? "is missing" : "is no term of the model")
        }
        // A second a unit is a thousand times slower than the slowest term of a scalar kernel.
        if let (name, value) = secondsPerUnit.sorted(by: { $0.key < $1.key }).first(where: { !(0...1).contains($0.value) }) {
            throw InputError(
                .configuration, file: path, field: "secondsPerUnit.\(name)", value: "\(value)", rule: "must be from 0 to 1 second")
        }
        guard (1...1 << 20).contains(headDimension) else {
            throw InputError(
                .configuration, file: path, field: "headDimension", value: "\(headDimension)", rule: "must be from 1 to 1048576")
        }
        for (field, share) in [
            ("meanAbsolutePercentageError", meanAbsolutePercentageError),
            ("fitMeanAbsolutePercentageError", fitMeanAbsolutePercentageError),
        ] where !(0...1e6).contains(share) {
            throw InputError(.configuration, file: path, field: field, value: "\(share)", rule: "must be a share from 0 to a million")
        }
        if let below = crossovers.compactMap(\.denseBelow).first(where: { $0 < 1 }) {
            throw InputError(.configuration, file: path, field: "crossovers.denseBelow", value: "\(below)", rule: "must be positive")
        }
    }
}
