/// vLLM's `sparse_attention_config.json`, which the dual chunk attention of Qwen2.5-1M models reads beside `config.json`.
///
/// The file has MInference's form, and `vertical_and_slash` is the only pattern: its reader stops at any other. It takes a layer
/// by its number, so the layers must be a list (an object of layers is read here, but not there). It raises v = 30 to 130, takes
/// the first 30 columns and the nearest 100 diagonals in any case, and is sparse only above `sparse_attention_threshold` of
/// `config.json` (32,768 tokens unless set).
///
/// Source: vllm-project/vllm, `vllm/attention/backends/dual_chunk_flash_attn.py`.
struct VLLMFormat: ForeignFormat {
    let name = "vLLM"
    let kinds: [ForeignHead.Kind] = [.verticalSlash]

    /// The first keys are columns that its reader takes in any case; there must be one.
    func bareWindow(sinks: Int, window: Int, score: Double) -> ForeignHead {
        ForeignHead(kind: .verticalSlash, columns: max(1, sinks), window: window, score: score)
    }
}
