import Foundation
import PackagePlugin

/// Writes the checkout's commit into the program before each build, so that outputs can say what made them.
@main
struct RecordCommit: BuildToolPlugin {
    /// $1 is the package, $2 the folder for the generated file; the file changes only when the commit does.
    private static let script = """
        commit=$(git -C "$1" rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
        [ -z "$(git -C "$1" status --porcelain --untracked-files=no 2>/dev/null)" ] || commit="$commit-modified"
        line="enum BuildRecord { static let commit = \\"$commit\\" }"
        mkdir -p "$2"
        [ "$(cat "$2/BuildRecord.swift" 2>/dev/null)" = "$line" ] || echo "$line" > "$2/BuildRecord.swift"
        """

    func createBuildCommands(context: PluginContext, target: any Target) async throws -> [Command] {
        let output = context.pluginWorkDirectoryURL.appending(path: "generated")
        return [
            .prebuildCommand(
                displayName: "Recording the commit", executable: URL(filePath: "/bin/sh"),
                arguments: ["-c", Self.script, "record-commit", context.package.directoryURL.path, output.path],
                outputFilesDirectory: output)
        ]
    }
}
