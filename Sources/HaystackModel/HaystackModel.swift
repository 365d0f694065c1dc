import Foundation

/// The bundled small long-context Llama and two books it never saw, so that everything works before a model is downloaded.
public enum HaystackModel {
    /// The model folder in Hugging Face form.
    public static let modelDirectory: URL = resource("haystack-13m")

    /// Moby-Dick and Treasure Island, public domain, plain UTF-8.
    public static let texts: [URL] = ["moby-dick.txt", "treasure-island.txt"].map { resource("text").appendingPathComponent($0) }

    /// What `tune` found in BF16 for the model on Moby-Dick, on a machine that the file names.
    public static let tunedConfig: URL = resource("tuned").appendingPathComponent("config.json")

    private static func resource(_ name: String) -> URL { Bundle.module.bundleURL.appendingPathComponent(name) }
}
