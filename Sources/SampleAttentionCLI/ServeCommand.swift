#if Server
    import ArgumentParser
    import AttentionCore
    import AttentionKernels
    import Dispatch
    import Foundation
    import HTTPServing
    import HaystackModel
    import LanguageModels
    import ModelFormats
    import SampleAttention
    import Serving

    /// `serve`: answer requests of OpenAI's API.
    struct ServeCommand: ModelCommand {
        static let configuration = CommandConfiguration(
            commandName: "serve",
            abstract: "Answer requests of OpenAI's API (completions and chats), with any attention in the prefill.",
            discussion: """
                Prints the address that it listens at, then one line of JSON a request on standard error. SIGTERM and Ctrl-C end it: \
                what still runs has --grace-seconds to finish.
                """)

        @OptionGroup var model: ModelOptions
        @OptionGroup var attention: AttentionOptions
        @OptionGroup var certificate: CertificateOptions
        @OptionGroup var limits: ServingOptions

        @Option(help: "Address to listen at; 0.0.0.0 lets other machines in.")
        var host = "127.0.0.1"

        @Option(help: "Port to listen at; 0 takes any that is free.")
        var port = 8080

        @Option(
            help: ArgumentHelp(
                "File whose text clients must show as their API key (default: SAMPLE_ATTENTION_API_KEY; else none).", valueName: "file"))
        var apiKeyFile: String?

        @Option(help: "What clients call the model (default: the name of its folder or file).")
        var modelName: String?

        @Option(
            help:
                "How conversations are written (default: what the model's chat template shows): \(ParameterOptions.choices(of: ChatFormat.self))."
        )
        var chat: String?

        @Option(help: "Keys and values are kept as fp32, bf16, int8, or auto: in the precision of products.")
        var cache = CacheOptions.automatic

        @Option(help: "Tokens the prefill takes at once (default: all).")
        var chunk: Int?

        func run() throws {
            guard (0...65535).contains(port) else {
                throw InputError(.usage, field: "port", value: "\(port)", rule: "must be from 0 to 65535")
            }
            if let chunk { _ = try ParameterOptions.count(chunk, "chunk", atLeast: 1) }
            let limits = try limits.limits()
            let key = try apiKey()
            let format: ChatFormat? = try chat.map { name throws(InputError) in try ParameterOptions.choice(name, "chat") }
            let settings = try CacheOptions.format(cache)
            let session = try model.open()
            let engine = GenerationEngine(
                session.model, policy: try policy(session), limits: limits, format: settings, chunk: chunk)
            let api = APIServer(
                engine, modelName: modelName ?? Self.name(of: session.model), chat: try chatSettings(format, session.model), key: key,
                log: { Message.write($0) })
            let server = HTTPServer(api, host: host, port: port, grace: .seconds(self.limits.graceSeconds))
            let printsJSON = session.json
            try Self.wait {
                let sweep = Task { try await engine.dropUnusedConversations() }
                defer { sweep.cancel() }
                try await server.run { address in
                    if printsJSON { JSONOutput.print(["address": address]) } else { StandardOutput.write("listening at \(address)\n".utf8) }
                }
            }
        }

        /// The attention asked for, with certificates in every answer where they are wanted; a request may ask for its own.
        private func policy(_ session: Session) throws(InputError) -> AttentionPolicy {
            let policy = try attention.policy(session)
            guard let certification = try certificate.certification(default: false, seed: session.seed) else { return policy }
            return try certification.applied(to: policy)
        }

        /// The key of the file, else of the environment, else none.
        private func apiKey() throws(InputError) -> APIKey? {
            if let apiKeyFile { return try APIKey(TextFile.read(apiKeyFile), source: apiKeyFile) }
            let variable = "SAMPLE_ATTENTION_API_KEY"
            return try ProcessInfo.processInfo.environment[variable].map { text throws(InputError) in try APIKey(text, source: variable) }
        }

        /// What the user names, else what the model's template shows; nil for a model without one, which is no fault: it can complete.
        private func chatSettings(_ named: ChatFormat?, _ model: LanguageModel) throws(InputError) -> APIServer.ChatSettings? {
            let template = try model.files.chatTemplate()
            if let named {
                // A mark that the tokenizer lacks is told now, not at the first request.
                _ = try ChatPrompt(named, template: template, user: "").tokens(model.tokenizer)
                return APIServer.ChatSettings(format: named, template: template)
            }
            guard let template else { return nil }
            do {
                return APIServer.ChatSettings(format: try ChatFormat(template), template: template)
            } catch  where error.code == .unsupported {
                Message.write("warning: \(error.description); chats are refused")
                return nil
            }
        }

        private static func name(of model: LanguageModel) -> String {
            URL(fileURLWithPath: model.files.path).deletingPathExtensionOfFile.lastPathComponent
        }

        /// Runs `body` as a task and blocks this thread, which has nothing else to do, until it has ended.
        private static func wait(_ body: @escaping @Sendable () async throws -> Void) throws {
            let outcome = Outcome()
            let end = DispatchSemaphore(value: 0)
            Task {
                do { try await body() } catch { outcome.failure = error }
                end.signal()
            }
            end.wait()
            if let failure = outcome.failure { throw failure }
        }

        /// Written before the semaphore is signalled, and read after.
        private final class Outcome: @unchecked Sendable {
            var failure: (any Error)?
        }
    }

    extension URL {
        /// A folder's name may have dots that begin no extension.
        fileprivate var deletingPathExtensionOfFile: URL { pathExtension == "gguf" ? deletingPathExtension() : self }
    }

    /// What a server takes on.
    struct ServingOptions: ParsableArguments {
        @Option(help: "Generations at a time; each has all threads to itself when it is alone.")
        var parallel = 1

        @Option(help: "Requests that wait for their turn; further ones get status 503.")
        var queue = 64

        @Option(help: "New tokens of an answer at most (default: as many as the model has positions).")
        var maxTokens: Int?

        @Option(help: "Tokens of a prompt and its answer at most (default: the model's positions).")
        var maxContext: Int?

        @Option(help: "Bytes of a request's body at most.")
        var maxBodyBytes = 16 << 20

        @Option(help: "Seconds that a request may take, with its wait.")
        var requestSeconds = 600

        @Option(help: "Seconds in which a request's body must come.")
        var readSeconds = 30

        @Option(help: "Seconds in which running requests may finish when the server is to end.")
        var graceSeconds = 10

        @Option(help: "Bytes of kept keys and values of conversations; 0 keeps none (default: a quarter of the machine's memory).")
        var prefixCacheBytes: Int?

        @Option(help: "Seconds for which a conversation is kept that nobody goes on with.")
        var prefixCacheSeconds = 1800

        func limits() throws(InputError) -> ServingLimits {
            var limits = ServingLimits()
            limits.running = try ParameterOptions.count(parallel, "parallel", atLeast: 1)
            limits.waiting = try ParameterOptions.count(queue, "queue", atLeast: 0)
            limits.maxTokens = try maxTokens.map { value throws(InputError) in try ParameterOptions.count(value, "max-tokens", atLeast: 1) }
            limits.contextTokens = try maxContext.map { value throws(InputError) in
                try ParameterOptions.count(value, "max-context", atLeast: 1)
            }
            limits.bodyBytes = try ParameterOptions.count(maxBodyBytes, "max-body-bytes", atLeast: 1)
            limits.requestTime = try seconds(requestSeconds, "request-seconds", atLeast: 1)
            limits.bodyTime = try seconds(readSeconds, "read-seconds", atLeast: 1)
            _ = try seconds(graceSeconds, "grace-seconds", atLeast: 0)
            limits.prefixCacheBytes = try ParameterOptions.count(
                prefixCacheBytes ?? Int(clamping: ProcessInfo.processInfo.physicalMemory / 4), "prefix-cache-bytes", atLeast: 0,
                atMost: .max)
            limits.prefixCacheTime = try seconds(prefixCacheSeconds, "prefix-cache-seconds", atLeast: 1)
            return limits
        }

        private func seconds(_ value: Int, _ field: String, atLeast least: Int) throws(InputError) -> Duration {
            guard (least...Self.mostSeconds).contains(value) else {
                throw InputError(.usage, field: field, value: "\(value)", rule: "must be from \(least) to \(Self.mostSeconds)")
            }
            return .seconds(value)
        }

        /// A month.
        private static let mostSeconds = 30 * 24 * 3600
    }
#endif
