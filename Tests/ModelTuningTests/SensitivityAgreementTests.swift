import ModelTuning
import Testing

/// What is said of predictions beside measurements.
@Suite struct SensitivityAgreementTests {
    private typealias Head = SensitivityStudy.Head

    private func head(_ index: Int, predicted: Double, measured: Double?) -> Head {
        Head(
            layer: 0, head: index, density: 0.5, outputError: 0.1, predictedDivergence: predicted, predictedLossChange: 0,
            measuredDivergence: measured)
    }

    /// Twenty heads of which measured is twice predicted, but for one that is found to cost most and was predicted to cost least.
    private var twenty: [Head] {
        (1...20).map { head($0, predicted: 0.001 * Double($0), measured: $0 == 1 ? 1 : 0.002 * Double($0)) }
    }

    @Test func worstHeadsAreCountedAmongMany() throws {
        let agreement = try #require(SensitivityStudy.Agreement(twenty, noise: 1e-6))
        #expect(agreement.heads == 20 && agreement.worstTenFound == 9 && abs(agreement.ratioMedian - 2) < 1e-9)
        // Ten of a few are most of them, whatever was predicted.
        let few = try #require(SensitivityStudy.Agreement(Array(twenty.prefix(19)), noise: 1e-6))
        #expect(few.worstTenFound == nil)
        #expect(SensitivityStudy.Agreement(Array(twenty.prefix(2)), noise: 1e-6) == nil)
    }

    /// Where nothing is lost, what is measured is rounding, and no prediction is wrong for it.
    @Test func roundingIsNoSensitivity() throws {
        let harmless = (1...30).map { head($0, predicted: 1e-9, measured: 1e-7 * Double($0)) }
        #expect(SensitivityStudy.Agreement(harmless, noise: 1e-5) == nil)
        let agreement = try #require(SensitivityStudy.Agreement(harmless + twenty, noise: 1e-5))
        #expect(agreement.heads == 20 && abs(agreement.ratioMedian - 2) < 1e-9)
        #expect(harmless[29].knownDivergence(noise: 1e-5) == 1e-9)
    }

    /// A head costs what was measured of it, and as long as nobody did, what is predicted.
    @Test func measurementsCountBeforePredictions() {
        #expect(twenty[0].knownDivergence(noise: 1e-6) == 1)
        #expect(head(0, predicted: 0.5, measured: nil).knownDivergence(noise: 1e-6) == 0.5)
        #expect(head(0, predicted: 0.5, measured: 0).knownDivergence(noise: 1e-6) == 0)
    }
}
