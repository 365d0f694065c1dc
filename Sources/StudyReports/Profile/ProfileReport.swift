import Evaluation
import HeadProfiling
import Reporting
import RunProvenance
import SampleAttention

/// A profile as one page: maps of all heads, curves, pictures of a few, bounds.
package struct ProfileReport {
    private let result: ProfileResult

    package static func make(_ result: ProfileResult) -> HTMLReport { ProfileReport(result: result).report }

    private var alpha: Int { result.scale.mainAlpha }
    private var alphaText: String { "\(result.scale.alphas[alpha])" }

    private var report: HTMLReport {
        let lengths = Set(result.prompts.map(\.length)).sorted().map { NumberFormat.count($0) }.joined(separator: ", ")
        var report = HTMLReport(
            title: "Head profile",
            summary: "\(result.prompts[0].heads.count) heads of a \(result.model.family) model at \(lengths) tokens")
        report.append(
            .facts([
                "Weights": String(result.model.weightsSHA256.prefix(16)), "Attention": result.attention,
                "Layers": LayerCoverage.text(result.prompts[0].heads.map(\.layer), of: result.model.layers),
                "Tool": "\(result.provenance.tool.version) (\(result.provenance.tool.commit))",
                "Machine": result.provenance.machineSummary,
                "Texts": result.provenance.texts.map(\.name).joined(separator: ", "), "Seed": "\(result.provenance.seed)",
                "Date": result.provenance.date,
            ]))
        for prompt in result.prompts { append(prompt, to: &report) }
        return report
    }

    private func append(_ prompt: PromptProfile, to report: inout HTMLReport) {
        report.append(.heading("\(prompt.text), \(NumberFormat.count(prompt.length)) tokens"))
        report.append(
            .paragraph(
                "SD(α) is the share of query-key pairs that some mask could drop while every query keeps α of its mass; structured SD the "
                    + "same for a window with columns, columns with slashes, or key blocks: equally many blocks of 32 keys for each block "
                    + "of 64 queries. The selection controls the mean over sampled rows; the least mass of any query (CRA) shows the one it "
                    + "serves worst."))
        report.append(.figureRow(maps(prompt).map { .heatmap($0) }))
        report.append(.figureRow([.lineChart(curves(prompt, \.meanMasses, "Mean retained mass")), .lineChart(degrees(prompt))]))
        report.append(
            .figureRow([.lineChart(curves(prompt, \.leastMasses, "Least retained mass of any query")), .scatter(sampled(prompt))]))
        report.append(.figureRow(StructureFamily.charts(prompt, scale: result.scale).map { .lineChart($0) }))
        for (head, why) in examples(prompt) { report.append(.attentionMap(picture(head, why, prompt))) }
        report.append(
            .table(bounds(prompt), caption: "Output error of the pattern beside its bound (1 − CRA)·D, in the L1 norm of a query's output"))
        if let table = overlaps(prompt) {
            report.append(.table(table, caption: "Columns selected by different heads: what sharing them would keep"))
        }
    }

    // MARK: All heads

    private func maps(_ prompt: PromptProfile) -> [Heatmap] {
        [
            map("Sparsity degree SD(\(alphaText))", prompt) { $0.sparsityDegrees[alpha] },
            map("Structured SD(\(alphaText)), every query", prompt) { $0.structured[alpha].best },
            map("Structure gap: SD − structured SD", prompt) { $0.structureGaps[alpha] },
            map("Structured SD(\(alphaText)), mean query", prompt) { $0.structuredMean[alpha].best },
            map("Density of the pattern", prompt, \.density),
            map("Mean retained mass of the pattern", prompt, \.retained.mean),
            map("Its least retained mass of any query (CRA)", prompt, \.retained.minimum),
        ]
    }

    private func map(_ title: String, _ prompt: PromptProfile, _ value: (HeadProfile) -> Double) -> Heatmap {
        var values = [[Double]](repeating: Array(repeating: .nan, count: result.model.queryHeads), count: result.model.layers)
        for head in prompt.heads { values[head.layer][head.head] = value(head) }
        var map = Heatmap(
            title: title, rows: .numbered("layer", result.model.layers), columns: .numbered("head", result.model.queryHeads),
            values: values, format: .fixed(decimals: 3))
        map.range = 0...1
        return map
    }

    /// One line a head: ever more columns beside the window that suits its mean best.
    private func curves(_ prompt: PromptProfile, _ masses: KeyPath<PatternCurve, [Double]>, _ title: String) -> LineChart {
        let series = prompt.heads.map { head in
            LineChart.Series(
                "layer \(head.layer), head \(head.head)" + (head.curve.window.map { ", window \($0)" } ?? ""),
                zip(head.curve.lines, head.curve[keyPath: masses]).filter { $0.0 > 0 }.map { .init(Double($0), $1) },
                group: "layer \(head.layer)")
        }
        var chart = LineChart(
            title: title + " as columns join the window", x: ChartAxis("columns", scale: .log2, format: .count),
            y: ChartAxis("mass", format: .percent(decimals: 0)), series: series)
        chart.rules = [.horizontal(at: result.scale.alphas[alpha], label: "α = \(alphaText)")]
        return chart
    }

    /// Heads from sparsest to densest, one line an α.
    private func degrees(_ prompt: PromptProfile) -> LineChart {
        let series = result.scale.alphas.enumerated().map { index, alpha in
            let sorted = prompt.heads.map { $0.sparsityDegrees[index] }.sorted(by: >)
            return LineChart.Series("α = \(alpha)", sorted.enumerated().map { .init(Double($0 + 1), $1) })
        }
        return LineChart(
            title: "Sparsity degree of the heads, sparsest first", x: ChartAxis("heads", format: .count),
            y: ChartAxis("SD(α)", format: .percent(decimals: 0)), series: series)
    }

    private func sampled(_ prompt: PromptProfile) -> ScatterPlot {
        var plot = ScatterPlot(
            title: "What sampled rows promised, and what all rows keep", x: ChartAxis("sampled", format: .fixed(decimals: 3)),
            y: ChartAxis("true mean", format: .fixed(decimals: 3)),
            points: prompt.heads.compactMap { head in
                head.sampledMass.map {
                    .init($0, head.retained.mean, label: "layer \(head.layer), head \(head.head)", group: "layer \(head.layer)")
                }
            })
        plot.rules = [.diagonal(label: "sampled = true")]
        plot.caption = "Retained mass of each head's pattern. Below the line the selection promised more than it keeps."
        return plot
    }

    // MARK: A few heads

    /// Up to four heads worth a look, each once.
    private func examples(_ prompt: PromptProfile) -> [(head: HeadProfile, why: String)] {
        let heads = prompt.heads
        let candidates: [(HeadProfile?, String)] = [
            (heads.max { $0.sparsityDegrees[alpha] < $1.sparsityDegrees[alpha] }, "the sparsest head"),
            (heads.min { $0.sparsityDegrees[alpha] < $1.sparsityDegrees[alpha] }, "the least sparse head"),
            (
                // Where all mass is kept, to within rounding, no query is served worst.
                heads.filter { $0.retained.minimum < 1 - 1e-5 }.min { $0.retained.minimum < $1.retained.minimum },
                "the head whose pattern serves some query worst"
            ),
            (heads.max { $0.structureGaps[alpha] < $1.structureGaps[alpha] }, "the largest structure gap"),
        ]
        var examples: [(head: HeadProfile, why: String)] = []
        for case (let head?, let why) in candidates {
            if let index = examples.firstIndex(where: { $0.head == head }) {
                examples[index].why += ", " + why
            } else {
                examples.append((head, why))
            }
        }
        return examples
    }

    private func picture(_ head: HeadProfile, _ why: String, _ prompt: PromptProfile) -> AttentionMap {
        let layer = prompt.layers.first { $0.layer == head.layer }!
        let (picture, selection) = (layer.pictures[head.head], layer.patterns[head.head])
        var pattern = AttentionMap.Pattern(
            window: selection.kind.hasWindow && head.window < prompt.length ? head.window : nil,
            kept: picture.square(\.kept),
            density: head.density, retainedMass: head.retained.mean)
        if let columns = selection.blockColumns, let slashes = selection.slashes {
            pattern.blockLines = .init(columns: columns, slashes: slashes, width: ColumnSlashSelection.blockTokens)
        }
        var map = AttentionMap(
            title: "Layer \(head.layer), head \(head.head): \(why)", length: prompt.length, mass: picture.square(\.mass),
            importance: [.columnSlash, .keyBlocks].contains(selection.kind) ? nil : importance(picture, selection, columns: head.columns),
            pattern: pattern)
        map.caption =
            "SD(\(alphaText)) \(NumberFormat.percent(head.sparsityDegrees[alpha])); the least mass of any query is "
            + "\(NumberFormat.fixed(head.retained.minimum, decimals: 3)), at query \(head.retained.worstQuery)"
        if let blocks = selection.keyBlocks, let tokens = selection.keyBlockTokens {
            map.caption! += "; \(NumberFormat.count(blocks)) blocks of \(tokens) keys are kept for the blocks of 64 queries"
        }
        return map
    }

    private func importance(_ picture: AttentionPicture, _ selection: HeadPattern, columns: Int) -> AttentionMap.ColumnImportance {
        AttentionMap.ColumnImportance(
            byKey: picture.importance.map(Double.init), selected: picture.columns.map(Double.init),
            cumulative: zip(picture.columnCounts, picture.cumulative).map { .init(Double($0), Double($1)) }, alpha: selection.alpha,
            selectedCount: selection.kind == .dense ? nil : columns)
    }

    // MARK: Tables

    /// The heads whose pattern moves some query's output furthest.
    private func bounds(_ prompt: PromptProfile) -> TextTable {
        let titles = ["R", "D at most", "1 − CRA", "bound", "largest error", "bound / error", "mean error"]
        var table = TextTable(columns: [.left("head")] + titles.map { .right($0) })
        let errors = prompt.layers.flatMap { layer in zip(layer.heads, layer.errors).map { (head: $0, error: $1) } }
        for (head, error) in errors.sorted(by: { $0.error.largest > $1.error.largest }).prefix(12) {
            table.append(
                ["layer \(head.layer), head \(head.head)"]
                    + [error.radius, error.diameter, 1 - head.retained.minimum, error.bound, error.largest].map {
                        NumberFormat.significant($0, digits: 3)
                    }
                    + [
                        error.vacuity.map { NumberFormat.fixed($0, decimals: 1) } ?? NumberFormat.missing,
                        NumberFormat.significant(error.mean, digits: 3),
                    ])
        }
        return table
    }

    private func overlaps(_ prompt: PromptProfile) -> TextTable? {
        var table = TextTable(
            columns: [.left("layer"), .left("shared with"), .right("pairs"), .right("Jaccard"), .right("by chance")]
                + ["mass with own", "with the other's"].map { .right($0) })
        for layer in prompt.layers {
            for (name, overlap) in [
                ("heads of its group", layer.overlaps.withinGroup), ("same head, layer before", layer.overlaps.previousLayer),
                ("same head, other prompt", layer.overlaps.otherPrompt),
            ] {
                guard let overlap else { continue }
                table.append(
                    ["\(layer.layer)", name, "\(overlap.pairs)"]
                        + [overlap.jaccard, overlap.chance, overlap.ownMass, overlap.sharedMass].map { NumberFormat.fixed($0, decimals: 3) }
                )
            }
        }
        return table.rows.isEmpty ? nil : table
    }
}

extension AttentionPicture {
    /// [query][key], zero above the diagonal.
    fileprivate func square(_ cells: KeyPath<AttentionPicture, [Float]>) -> [[Double]] {
        let values = self[keyPath: cells]
        return (0..<side).map { query in
            let start = query * (query + 1) / 2
            return (0..<side).map { $0 <= query ? Double(values[start + $0]) : 0 }
        }
    }
}
