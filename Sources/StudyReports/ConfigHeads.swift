import SampleAttention

/// Heads of a config that are asked for, with what they do.
package struct ConfigHeads {
    let layers, heads: Range<Int>

    package init(layers: Range<Int>, heads: Range<Int>) { (self.layers, self.heads) = (layers, heads) }

    package struct Entry: Encodable {
        let layer, head: Int
        let parameters: SampleAttentionParameters
        /// Absent for a head that the bucket does not name: the defaults apply.
        let measured: TunedConfig.Measurement?
    }

    /// The heads of a bucket, those it does not name with the defaults; of no bucket, all with the defaults.
    package func entries(of config: TunedConfig, in bucket: TunedConfig.Bucket?) -> [Entry] {
        let named = bucket?.layers ?? []
        return layers.flatMap { layer in
            heads.map { head in
                let entry = layer < named.count && head < named[layer].count ? named[layer][head] : nil
                return Entry(layer: layer, head: head, parameters: entry?.parameters ?? config.defaults, measured: entry?.measured)
            }
        }
    }

    /// All buckets, or the one that applies at `length`: none for dense prompts.
    package static func buckets(of config: TunedConfig, length: Int?) -> [TunedConfig.Bucket] {
        guard let length else { return config.buckets }
        if length < config.denseBelow { return [] }
        return config.nearestBucket(promptLength: length).map { [config.buckets[$0]] } ?? []
    }
}
