import AttentionCore
import AttentionKernels
import CSampleAttention
import SampleAttention

// The functions of `sample_attention.h`, which says what they do. Their Swift names are of no concern to anybody.

/// The library's version.
private let versionText: StaticString = "0.1.0"

@_cdecl("sample_attention_version")
public func version() -> UnsafePointer<CChar> {
    UnsafeRawPointer(versionText.utf8Start).assumingMemoryBound(to: CChar.self)
}

@_cdecl("sample_attention_abi_version")
public func abiVersion() -> Int32 { SAMPLE_ATTENTION_ABI_VERSION }

// MARK: Engines

@_cdecl("sample_attention_engine_create")
public func createEngine(
    _ options: UnsafePointer<sample_attention_engine_options>?, _ engine: UnsafeMutablePointer<OpaquePointer?>?,
    _ message: UnsafeMutablePointer<CChar>?, _ capacity: Int
) -> Int32 {
    create(engine, "engine", message, capacity) { () throws(InputError) in try Engine(options == nil ? .init() : .read(options, "options"))
    }
}

@_cdecl("sample_attention_engine_describe")
public func describeEngine(
    _ engine: OpaquePointer?, _ info: UnsafeMutablePointer<sample_attention_engine_info>?, _ message: UnsafeMutablePointer<CChar>?,
    _ capacity: Int
) -> Int32 {
    answer(message, capacity) { () throws(InputError) in try Engine.of(engine, "engine").info.write(to: info, "info") }
}

@_cdecl("sample_attention_engine_destroy")
public func destroyEngine(_ engine: OpaquePointer?) { Engine.destroy(engine) }

// MARK: Configs

@_cdecl("sample_attention_config_load")
public func loadConfig(
    _ path: UnsafePointer<CChar>?, _ config: UnsafeMutablePointer<OpaquePointer?>?, _ message: UnsafeMutablePointer<CChar>?,
    _ capacity: Int
) -> Int32 {
    create(config, "config", message, capacity) { () throws(InputError) in try Config(contentsOf: String(cString: required(path, "path"))) }
}

@_cdecl("sample_attention_config_dense")
public func denseConfig(
    _ config: UnsafeMutablePointer<OpaquePointer?>?, _ message: UnsafeMutablePointer<CChar>?, _ capacity: Int
) -> Int32 {
    create(config, "config", message, capacity) { Config(.dense) }
}

@_cdecl("sample_attention_config_alpha")
public func alphaConfig(
    _ alpha: Double, _ config: UnsafeMutablePointer<OpaquePointer?>?, _ message: UnsafeMutablePointer<CChar>?, _ capacity: Int
) -> Int32 {
    create(config, "config", message, capacity) { () throws(InputError) in
        var parameters = SampleAttentionParameters.standard
        parameters.alpha = try Fraction(alpha, field: "alpha")
        return Config(parameters)
    }
}

@_cdecl("sample_attention_config_parameters")
public func parametersConfig(
    _ json: UnsafePointer<CChar>?, _ config: UnsafeMutablePointer<OpaquePointer?>?, _ message: UnsafeMutablePointer<CChar>?,
    _ capacity: Int
) -> Int32 {
    create(config, "config", message, capacity) { () throws(InputError) in try Config(json: String(cString: required(json, "json"))) }
}

@_cdecl("sample_attention_config_describe")
public func describeConfig(
    _ config: OpaquePointer?, _ info: UnsafeMutablePointer<sample_attention_config_info>?, _ message: UnsafeMutablePointer<CChar>?,
    _ capacity: Int
) -> Int32 {
    answer(message, capacity) { () throws(InputError) in try Config.of(config, "config").info.write(to: info, "info") }
}

@_cdecl("sample_attention_config_destroy")
public func destroyConfig(_ config: OpaquePointer?) { Config.destroy(config) }

// MARK: Attention

@_cdecl("sample_attention_attend")
public func attend(
    _ engine: OpaquePointer?, _ config: OpaquePointer?, _ call: UnsafePointer<sample_attention_call>?,
    _ report: UnsafeMutablePointer<sample_attention_report>?, _ message: UnsafeMutablePointer<CChar>?, _ capacity: Int
) -> Int32 {
    answer(message, capacity) { () throws(InputError) in
        let engine = try Engine.of(engine, "engine")
        let config = config == nil ? Config(.dense) : try Config.of(config, "config")
        // A report that cannot be written is refused before the work.
        if report != nil { try sample_attention_report().write(to: report, "report") }
        let call = try CheckedCall(.read(call, "call"), config: config)
        let found = try engine.withMemory { memory throws(InputError) in
            try LayerRun(call: call, policy: config.policy, kernel: engine.kernel, memory: memory).run()
        }
        if report != nil { try found.write(to: report, "report") }
    }
}
