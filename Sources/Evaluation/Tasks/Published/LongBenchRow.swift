import AttentionCore

/// A task as LongBench's own files have it, one JSON object a line.
struct LongBenchRow: Decodable {
    let input, context, dataset, id: String
    let answers: [String]
    let classes: [String]?

    private enum CodingKeys: String, CodingKey {
        case input, context, dataset, answers
        case id = "_id"
        case classes = "all_classes"
    }

    /// - Throws: `InputError` naming the row: `unsupported` for datasets scored on Chinese words, `invalidData` for unknown ones, for
    ///   no answer, and where the dataset's scorer needs what the row does not have.
    func tasks(_ reading: TaskFile.Reading, at place: TaskFile.Place) throws(InputError) -> [EvaluationTask] {
        let known = try checked(at: place)
        let template = try reading.templates?.template(for: LongBenchDataset.plain(dataset)) ?? known.template
        return try reading.tasks(
            id: id, name: dataset,
            EvaluationTask.Question(
                prompt: template.filled(context: context, input: input), answers: answers, scorer: known.scorer,
                classes: classes ?? [], onlyFirstLine: known.onlyFirstLine, newTokens: known.newTokens))
    }

    private func checked(at place: TaskFile.Place) throws(InputError) -> LongBenchDataset {
        if LongBenchDataset.segmented.contains(LongBenchDataset.plain(dataset)) {
            throw place.refuse(
                "dataset", dataset, "is scored on words of Chinese text, and there is no word segmentation here", code: .unsupported)
        }
        guard let known = LongBenchDataset(name: dataset) else { throw place.refuse("dataset", dataset, "must be one of LongBench's") }
        guard !answers.isEmpty else { throw place.refuse("answers", nil, "must hold at least one answer") }
        if known.scorer == .classification, classes?.isEmpty ?? true {
            throw place.refuse("all_classes", nil, "must list the classes of \(dataset)")
        }
        if known.scorer == .retrieval, let answer = answers.first(where: { NumberShare.paragraph(in: $0) == nil }) {
            throw place.refuse("answers", answer, "must name a paragraph, such as Paragraph 1")
        }
        return known
    }
}
