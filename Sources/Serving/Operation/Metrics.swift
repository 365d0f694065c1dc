import Foundation
import LanguageModels
import Synchronization

/// Counts of a server since it began, as Prometheus reads them (text format 0.0.4).
package final class Metrics: Sendable {
    private struct Counts {
        var requests: [Request: Int] = [:]
        var promptTokens = 0
        var cachedTokens = 0
        var generatedTokens = 0
        var firstToken = Histogram(Metrics.seconds)
        var prefill = Histogram(Metrics.seconds)
        var density = Histogram([0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1])
    }

    private struct Request: Hashable {
        let endpoint: String
        let status: Int
    }

    private static let seconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300]
    private let counts = Mutex(Counts())

    package init() {}

    /// A request that was answered, or whose client left (499).
    func count(endpoint: String, status: Int) {
        counts.withLock { $0.requests[Request(endpoint: endpoint, status: status), default: 0] += 1 }
    }

    func count(_ summary: GenerationSummary) {
        counts.withLock { counts in
            counts.promptTokens += summary.promptTokens
            counts.cachedTokens += summary.cachedTokens
            counts.generatedTokens += summary.generatedTokens
            counts.firstToken.add(summary.queueSeconds + summary.firstTokenSeconds)
            counts.prefill.add(summary.prefill.seconds)
            counts.density.add(summary.prefill.density)
        }
    }

    /// All of them, with what is so at the moment.
    func text(_ engine: GenerationEngine) -> String {
        let counts = counts.withLock { $0 }
        var page = MetricsPage()
        page.begin("requests_total", "counter", "Requests by endpoint and status; 499 where the client left.")
        for (request, count) in counts.requests.sorted(by: { ($0.key.endpoint, $0.key.status) < ($1.key.endpoint, $1.key.status) }) {
            page.add("requests_total", #"{endpoint="\#(request.endpoint)",status="\#(request.status)"}"#, count)
        }
        page.add("requests_waiting", "gauge", "Requests whose turn has not come.", engine.queue.waiting)
        page.add("requests_running", "gauge", "Generations that run.", engine.queue.running)
        page.add("prompt_tokens_total", "counter", "Tokens of prompts.", counts.promptTokens)
        page.add("cached_tokens_total", "counter", "Tokens of prompts that came from kept conversations.", counts.cachedTokens)
        page.add("generated_tokens_total", "counter", "Tokens of answers.", counts.generatedTokens)
        page.add("prefix_cache_bytes", "gauge", "Capacity of kept conversations.", engine.prefixCache.bytes)
        page.add("prefix_cache_conversations", "gauge", "Kept conversations.", engine.prefixCache.conversations)
        page.add("time_to_first_token_seconds", "From a request's arrival to its first token.", counts.firstToken)
        page.add("prefill_seconds", "Forward passes over prompts.", counts.prefill)
        page.add("density", "Share of the causal pairs that a prefill kept.", counts.density)
        return page.text
    }
}

/// How many values are at most some bounds.
private struct Histogram: Sendable {
    let bounds: [Double]
    /// Of each bound alone, and of what is above all.
    private(set) var counts: [Int]
    private(set) var sum = 0.0

    init(_ bounds: [Double]) {
        self.bounds = bounds
        counts = Array(repeating: 0, count: bounds.count + 1)
    }

    mutating func add(_ value: Double) {
        counts[bounds.firstIndex { value <= $0 } ?? bounds.count] += 1
        sum += value
    }
}

/// Lines of the text format.
private struct MetricsPage {
    private(set) var text = ""

    mutating func begin(_ name: String, _ type: String, _ help: String) {
        text += "# HELP sample_attention_\(name) \(help)\n# TYPE sample_attention_\(name) \(type)\n"
    }

    mutating func add(_ name: String, _ labels: String, _ value: some CustomStringConvertible) {
        text += "sample_attention_\(name)\(labels) \(value)\n"
    }

    mutating func add(_ name: String, _ type: String, _ help: String, _ value: Int) {
        begin(name, type, help)
        add(name, "", value)
    }

    mutating func add(_ name: String, _ help: String, _ histogram: Histogram) {
        begin(name, "histogram", help)
        var total = 0
        for (index, count) in histogram.counts.enumerated() {
            total += count
            let bound = index < histogram.bounds.count ? "\(histogram.bounds[index])" : "+Inf"
            add(name + "_bucket", #"{le="\#(bound)"}"#, total)
        }
        add(name + "_sum", "", histogram.sum)
        add(name + "_count", "", total)
    }
}
