import ArgumentParser

/// `config`: look after config files.
struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Show, check and compare tuned config files; exchange them with MInference and vLLM.",
        subcommands: [
            ConfigShowCommand.self, ConfigCheckCommand.self, ConfigDiffCommand.self, ConfigExportCommand.self, ConfigImportCommand.self,
        ])
}
