import AttentionTestSupport
import Foundation

/// The oracle: a Llama forward pass by definition, in double precision, one number at a time.
struct NaiveLlama {
    let shape: TinyModel.Shape
    /// ε of the norms.
    let epsilon = 1e-6
    /// θ of each pair of dimensions.
    let frequencies: [Double]
    /// By Hugging Face name, row-major [outputs][inputs].
    let weights: [String: [Float]]

    /// Logits after the last token.
    func logits(_ tokens: [Int]) -> [Double] {
        let s = shape
        var stream = tokens.map { row("model.embed_tokens.weight", $0, s.hidden) }
        for layer in 0..<s.layers {
            let name = { (part: String) in "model.layers.\(layer).\(part).weight" }
            let normed = stream.map { norm($0, name("input_layernorm")) }
            let queries = rotated(normed.map { product(name("self_attn.q_proj"), $0) }, heads: s.queryHeads)
            let keys = rotated(normed.map { product(name("self_attn.k_proj"), $0) }, heads: s.keyValueHeads)
            let values = normed.map { product(name("self_attn.v_proj"), $0) }
            for position in tokens.indices {
                let attended = (0..<s.queryHeads).flatMap { attend($0, queries[position], keys[...position], values) }
                add(product(name("self_attn.o_proj"), attended), to: &stream[position])
                let input = norm(stream[position], name("post_attention_layernorm"))
                let gate = product(name("mlp.gate_proj"), input)
                let up = product(name("mlp.up_proj"), input)
                add(product(name("mlp.down_proj"), zip(gate, up).map { $0 / (1 + exp(-$0)) * $1 }), to: &stream[position])
            }
        }
        return product(s.tied ? "model.embed_tokens.weight" : "lm_head.weight", norm(stream.last!, "model.norm.weight"))
    }

    private func attend(_ head: Int, _ query: [Double], _ keys: ArraySlice<[Double]>, _ values: [[Double]]) -> [Double] {
        let d = shape.headDimension
        let own = head / (shape.queryHeads / shape.keyValueHeads) * d
        let scores = keys.map { key in (0..<d).reduce(0) { $0 + query[head * d + $1] * key[own + $1] } / Double(d).squareRoot() }
        let powers = scores.map { exp($0 - scores.max()!) }
        let sum = powers.reduce(0, +)
        return (0..<d).map { t in powers.indices.reduce(0) { $0 + powers[$1] / sum * values[$1][own + t] } }
    }

    private func rotated(_ rows: [[Double]], heads: Int) -> [[Double]] {
        let half = shape.headDimension / 2
        return rows.enumerated().map { position, row in
            var turned = row
            for head in 0..<heads {
                for i in 0..<half {
                    let (a, b) = (head * shape.headDimension + i, head * shape.headDimension + i + half)
                    let angle = Double(position) * frequencies[i]
                    turned[a] = row[a] * cos(angle) - row[b] * sin(angle)
                    turned[b] = row[b] * cos(angle) + row[a] * sin(angle)
                }
            }
            return turned
        }
    }

    private func row(_ name: String, _ index: Int, _ width: Int) -> [Double] {
        weights[name]![index * width..<(index + 1) * width].map(Double.init)
    }

    private func product(_ name: String, _ x: [Double]) -> [Double] {
        let weight = weights[name]!
        return (0..<weight.count / x.count).map { out in x.indices.reduce(0) { $0 + Double(weight[out * x.count + $1]) * x[$1] } }
    }

    private func norm(_ x: [Double], _ name: String) -> [Double] {
        let scale = 1 / (x.reduce(0) { $0 + $1 * $1 } / Double(x.count) + epsilon).squareRoot()
        return zip(x, weights[name]!).map { $0 * scale * Double($1) }
    }

    private func add(_ x: [Double], to y: inout [Double]) { for i in x.indices { y[i] += x[i] } }
}
