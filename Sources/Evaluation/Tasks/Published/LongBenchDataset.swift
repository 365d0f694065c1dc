/// What LongBench fixes for one of its datasets: the scorer, the new tokens, and whether only the first line counts.
///
/// Source: arXiv 2308.14508, table 1; `config/dataset2maxlen.json` and `eval.py` of its repository. The templates are
/// this library's own.
struct LongBenchDataset: Sendable {
    let scorer: AnswerScorer
    let newTokens: Int
    let template: PromptTemplate
    let onlyFirstLine: Bool

    private init(_ scorer: AnswerScorer, _ newTokens: Int, _ template: PromptTemplate, onlyFirstLine: Bool = false) {
        self.scorer = scorer
        self.newTokens = newTokens
        self.template = template
        self.onlyFirstLine = onlyFirstLine
    }

    /// The dataset of a name, or of a name with LongBench-E's ending `_e`.
    init?(name: String) {
        guard let dataset = Self.all[Self.plain(name)] else { return nil }
        self = dataset
    }

    static func plain(_ name: String) -> String { name.hasSuffix("_e") ? String(name.dropLast(2)) : name }

    /// Scored on words of Chinese text, which nothing but a dictionary tells apart.
    static let segmented: Set<String> = ["multifieldqa_zh", "dureader", "vcsum"]

    private static let all: [String: LongBenchDataset] = [
        "narrativeqa": Self(.f1, 128, .question),
        "qasper": Self(.f1, 128, .article),
        "multifieldqa_en": Self(.f1, 64, .question),
        "hotpotqa": Self(.f1, 32, .question),
        "2wikimqa": Self(.f1, 32, .question),
        "musique": Self(.f1, 32, .question),
        "gov_report": Self(.rougeL, 512, .summary),
        "qmsum": Self(.rougeL, 512, .meeting),
        "multi_news": Self(.rougeL, 512, .summary),
        "trec": Self(.classification, 64, .examples, onlyFirstLine: true),
        "triviaqa": Self(.f1, 32, .examples, onlyFirstLine: true),
        "samsum": Self(.rougeL, 128, .examples, onlyFirstLine: true),
        "lsht": Self(.classification, 64, .examples, onlyFirstLine: true),
        "passage_count": Self(.count, 32, .count),
        "passage_retrieval_en": Self(.retrieval, 32, .retrieval),
        "passage_retrieval_zh": Self(.retrieval, 32, .chineseRetrieval),
        "lcc": Self(.editSimilarity, 64, .code),
        "repobench-p": Self(.editSimilarity, 64, .code),
    ]
}

extension PromptTemplate {
    fileprivate static let article = PromptTemplate(
        text: """
            {context}

            Answer the question about the article above in as few words as you can, with yes or no where that is asked, and with \
            unanswerable where the article does not tell.
            Question: {input}
            Answer:
            """)
    fileprivate static let summary = PromptTemplate(text: "{context}\n\nSum up the text above on one page.\nSummary:")
    fileprivate static let meeting = PromptTemplate(
        text: "{context}\n\nAnswer the question about the meeting above in a few sentences.\nQuestion: {input}\nAnswer:")
    /// The input is the last example, which the model completes.
    fileprivate static let examples = PromptTemplate(text: "Each example is completed in the same way.\n\n{context}\n{input}")
    fileprivate static let count = PromptTemplate(
        text: """
            {context}

            Some paragraphs above come more than once. Tell how many different paragraphs there are, as a number and nothing else.
            Answer:
            """)
    fileprivate static let retrieval = PromptTemplate(
        text: "{context}\n\nTell which paragraph above this one sums up, such as: Paragraph 1\n\n{input}\n\nAnswer:")
    fileprivate static let chineseRetrieval = PromptTemplate(text: "{context}\n\n下面的摘要概括了上面哪一段？请这样回答：段落1\n\n{input}\n\n答案：")
    fileprivate static let code = PromptTemplate(text: "{context}{input}")
}
