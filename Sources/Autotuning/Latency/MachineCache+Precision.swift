import AttentionCore
import AttentionKernels
import Foundation
import RunProvenance
import SampleAttention

extension MachineCache {
    /// What is kept of one machine's rates: they hold for the same CPU, instruction set and tool.
    private struct KeptRates: Codable {
        let tool: Provenance.Tool
        let cpu, instructionSet: String
        let rates: PrecisionRates
    }

    /// How fast a machine multiplies in each precision, as kept or measured now.
    ///
    /// Rates that leave it open which precision is faster, as a busy machine may give, are not kept. A file that cannot be read or
    /// written costs the measurement, some 50 ms, and no warning.
    ///
    /// - Parameters:
    ///   - provenance: this tool on this machine; the precision in it says nothing here.
    ///   - measure: makes new ones.
    public func precisionRates(
        for provenance: Provenance, measure: () throws(InputError) -> PrecisionRates
    ) throws(InputError) -> PrecisionRates {
        let machine = provenance.machine
        let path = path("precision", of: [machine.cpu, machine.instructionSet])
        if let data = FileManager.default.contents(atPath: path), let kept = try? JSONDecoder().decode(KeptRates.self, from: data),
            kept.tool == provenance.tool, kept.cpu == machine.cpu, kept.instructionSet == machine.instructionSet
        {
            return kept.rates
        }
        let rates = try measure()
        if !rates.areClear { return rates }
        let kept = KeptRates(
            tool: provenance.tool, cpu: machine.cpu, instructionSet: machine.instructionSet, rates: rates)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        if let data = try? encoder.encode(kept) { try? store(data + Data("\n".utf8), at: path) }
        return rates
    }
}
