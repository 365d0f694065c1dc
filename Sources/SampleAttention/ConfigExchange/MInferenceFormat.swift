/// MInference's `best_pattern` files: a JSON list with one object a layer, `{"0": ["vertical_and_slash", 1000, 6096, 0.96], …}`.
///
/// - `vertical_and_slash` v, s: the v columns and s diagonals with most mass in the last 64 queries. Its reader raises v to 30 and s
///   to 50, caps both at the prompt's length, and takes the first 30 columns and the nearest 100 diagonals in any case, counted.
/// - `stream_llm` n_init, n_local: the first n_init and the nearest n_local keys.
/// - `block_sparse`: the 100 heaviest 64-token blocks of each query block, whatever the file says; nothing here is like it.
/// - A head that is missing takes (1000, 6096), so files from here name every head.
/// - The score of files made by `search_pattern` is the mean retained mass; that of the published `…_fit_o_…` files is a count of
///   wrong output elements, the fewer the better.
///
/// Source: microsoft/MInference, `minference/modules/minference_forward.py`.
struct MInferenceFormat: ForeignFormat {
    let name = "MInference"
    let kinds: [ForeignHead.Kind] = [.verticalSlash, .streaming]

    func bareWindow(sinks: Int, window: Int, score: Double) -> ForeignHead {
        ForeignHead(kind: .streaming, columns: sinks, window: window, score: score)
    }
}
