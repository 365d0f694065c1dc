import Evaluation
import HeadProfiling
import Reporting

/// The families of patterns that structured SD is measured in, as reports name them.
enum StructureFamily: CaseIterable {
    case windowColumns, columnsSlashes, keyBlocks

    var name: String {
        switch self {
        case .windowColumns: "window + columns"
        case .columnsSlashes: "columns + slashes"
        case .keyBlocks: "key blocks"
        }
    }

    func degree(_ structured: StructuredSparsity) -> Double {
        switch self {
        case .windowColumns: structured.windowColumns.degree
        case .columnsSlashes: structured.columnsSlashes.degree
        case .keyBlocks: structured.keyBlocks.degree
        }
    }

    /// True for the first family that no other passes, so that each head has one.
    func isBest(of structured: StructuredSparsity) -> Bool {
        Self.allCases.first { $0.degree(structured) == structured.best } == self
    }

    /// Heads from sparsest to densest, one line a family, beside what no structure would allow: every query keeps α, and the mean query
    /// does.
    static func charts(_ prompt: PromptProfile, scale: ProfileScale) -> [LineChart] {
        let alpha = scale.mainAlpha
        func chart(_ title: String, _ structured: KeyPath<HeadProfile, [StructuredSparsity]>) -> LineChart {
            let families = allCases.map { family in
                line(family.name, prompt.heads.map { family.degree($0[keyPath: structured][alpha]) })
            }
            return LineChart(
                title: title, x: ChartAxis("heads", format: .count), y: ChartAxis("SD", format: .percent(decimals: 0)),
                series: [line("any mask, every query", prompt.heads.map { $0.sparsityDegrees[alpha] })] + families)
        }
        return [
            chart("Structured SD(\(scale.alphas[alpha])) by family, every query", \.structured),
            chart("Structured SD(\(scale.alphas[alpha])) by family, mean query", \.structuredMean),
        ]
    }

    private static func line(_ name: String, _ degrees: [Double]) -> LineChart.Series {
        LineChart.Series(name, degrees.sorted(by: >).enumerated().map { .init(Double($0 + 1), $1) })
    }
}
