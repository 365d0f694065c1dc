import Evaluation
import HeadProfiling
import Reporting
import SampleAttention

extension ProfileResult {
    /// The short form for the terminal.
    package var summary: String {
        let alpha = scale.alphas[scale.mainAlpha]
        let titles = ["length", "SD(\(alpha))", "structured", "mean query", "density", "mean mass", "p1 mass", "min mass", "seconds"]
        var table = TextTable(columns: [.left("text")] + titles.map { .right($0) })
        for prompt in prompts {
            func mean(_ value: (HeadProfile) -> Double) -> Double {
                prompt.heads.reduce(0) { $0 + value($1) } / Double(prompt.heads.count)
            }
            let degrees = [
                mean { $0.sparsityDegrees[scale.mainAlpha] }, mean { $0.structured[scale.mainAlpha].best },
                mean { $0.structuredMean[scale.mainAlpha].best }, prompt.density,
            ]
            let masses = [mean(\.retained.mean), mean(\.retained.p1), prompt.heads.map(\.retained.minimum).min() ?? .nan]
            table.append(
                [prompt.text, "\(prompt.length)"] + degrees.map { NumberFormat.percent($0) }
                    + masses.map { NumberFormat.fixed($0, decimals: 4) } + [NumberFormat.fixed(prompt.seconds, decimals: 1)])
        }
        return
            "\(prompts[0].heads.count) heads, means over heads; density and mass of the pattern of attention '\(attention)', min "
            + "mass the least of all.\nStructured: SD with a window and columns, columns and slashes, or key blocks by query block, where "
            + "every query keeps \(alpha); beside it where the mean query does.\n\n" + table.text() + prompts.map(extremes).joined()
    }

    /// The heads that need the most keys, those whose pattern serves some query worst, and what sharing columns would keep.
    private func extremes(_ prompt: PromptProfile) -> String {
        let alpha = scale.mainAlpha
        let densest = prompt.heads.sorted { $0.sparsityDegrees[alpha] < $1.sparsityDegrees[alpha] }.prefix(5)
        let worst = prompt.heads.sorted { $0.retained.minimum < $1.retained.minimum }.prefix(5)
        func list(_ heads: ArraySlice<HeadProfile>, _ text: (HeadProfile) -> String) -> String {
            heads.map { "layer \($0.layer) head \($0.head) (\(text($0)))" }.joined(separator: ", ")
        }
        return "\n\(prompt.text), \(prompt.length) tokens\n  least sparse: "
            + list(densest) { "SD " + NumberFormat.percent($0.sparsityDegrees[alpha]) } + "\n  served worst: "
            + list(worst) { "\(NumberFormat.fixed($0.retained.minimum, decimals: 3)) at query \($0.retained.worstQuery)" } + "\n"
            + families(prompt) + sharing(prompt)
    }

    /// What each family of structured patterns reaches, and how many heads it suits best.
    private func families(_ prompt: PromptProfile) -> String {
        let texts = StructureFamily.allCases.map { family in
            let degrees = prompt.heads.map { family.degree($0.structuredMean[scale.mainAlpha]) }
            let leads = prompt.heads.count { family.isBest(of: $0.structuredMean[scale.mainAlpha]) }
            return "\(family.name) \(NumberFormat.percent(degrees.reduce(0, +) / Double(degrees.count))) (\(leads))"
        }
        return "  structured, mean query, by family (heads it suits best): " + texts.joined(separator: ", ") + "\n"
    }

    private func sharing(_ prompt: PromptProfile) -> String {
        let kinds: [(String, (LayerProfile.Overlaps) -> ColumnOverlap?)] = [
            ("their group's", \.withinGroup), ("the layer before's", \.previousLayer), ("another prompt's", \.otherPrompt),
        ]
        let texts = kinds.compactMap { name, overlap in
            ColumnOverlap(meanOf: prompt.layers.compactMap { overlap($0.overlaps) }).map {
                "\(name) \(NumberFormat.fixed($0.ownMass, decimals: 3)) → \(NumberFormat.fixed($0.sharedMass, decimals: 3))"
            }
        }
        return texts.isEmpty ? "" : "  mean mass with columns not their own: " + texts.joined(separator: ", ") + "\n"
    }
}
