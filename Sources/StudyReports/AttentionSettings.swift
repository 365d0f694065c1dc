import AttentionCore
import SampleAttention

/// All that decides how attentions attend, beside their names: work must not be continued with other settings.
package struct AttentionSettings: Encodable {
    /// Of `sample`.
    let parameters: SampleAttentionParameters
    let density: Fraction?
    /// Of the config file, when one of the attentions reads it.
    let configSHA256: String?

    package init(parameters: SampleAttentionParameters, density: Fraction?, configSHA256: String?) {
        (self.parameters, self.density, self.configSHA256) = (parameters, density, configSHA256)
    }
}
