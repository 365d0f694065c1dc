#if Server
    import AttentionCore
    import Foundation
    import HTTPTypes
    import HummingbirdCore
    import Logging
    import NIOCore
    import NIOPosix
    import ServiceLifecycle
    import Serving
    import UnixSignals

    /// Brings requests from sockets to an `APIServer` and its answers back.
    package struct HTTPServer: Sendable {
        private let api: APIServer
        private let host: String
        private let port: Int
        private let grace: Duration

        /// - Parameters:
        ///   - port: 0 for any that is free.
        ///   - grace: for running requests when the server is to end.
        package init(_ api: APIServer, host: String, port: Int, grace: Duration) {
            self.api = api
            self.host = host
            self.port = port
            self.grace = grace
        }

        /// Serves until SIGTERM or SIGINT: then nothing more is accepted, and what still runs after the time of grace is cancelled.
        ///
        /// - Parameter onStart: gets the address once connections are accepted.
        /// - Throws: `InputError` (`systemFailure`) when the address cannot be listened at.
        package func run(onStart: @escaping @Sendable (_ address: String) -> Void) async throws {
            // The API keeps the log of requests; the library's own messages are of no use beside it.
            let logger = Logger(label: "http") { _ in SwiftLogNoOpLogHandler() }
            let channel = HTTP1Channel(
                responder: { request, writer, _ in try await respond(to: request, writer: writer) },
                configuration: .init(
                    // A request that has begun gets an answer when its time is over; this ends connections on which none begins.
                    idleTimeout: .nanoseconds(Int64((api.limits.bodyTime.seconds + 5) * 1e9)),
                    httpDecoderConfiguration: .init(maxHeaderFieldSize: 16 << 10, maxHeaderListSize: 64 << 10, maxHeaderFieldCount: 100)))
            let server = channel.server(
                configuration: ServerConfiguration(address: .hostname(host, port: port)),
                onServerRunning: { channel in
                    let bound = channel.localAddress?.port ?? port
                    onStart("http://\(host.contains(":") ? "[\(host)]" : host):\(bound)")
                },
                eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: logger)
            var configuration = ServiceGroupConfiguration(
                services: [server], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
            configuration.maximumGracefulShutdownDuration = grace
            do {
                try await ServiceGroup(configuration: configuration).run()
            } catch is CancellationError {
                // The time of grace is over.
            } catch let error as IOError {
                throw InputError(
                    .systemFailure, field: "port", value: "\(host):\(port)",
                    rule: "cannot be listened at (\(String(cString: strerror(error.errnoCode))))")
            }
        }

        /// One request. When its client leaves, the task that answers it is cancelled; to notice that, what the client sends next is read, which
        /// is why no second request follows on the connection.
        private func respond(to request: Request, writer: consuming ResponseWriter) async throws {
            let sink = ResponseSink(writer)
            let headers = request.headers
            let path = request.uri.path
            try await request.body.consumeWithCancellationOnInboundClose { body in
                do {
                    let announced = headers[.contentLength].flatMap { Int($0) } ?? 0
                    let isAsking = headers[.expect]?.lowercased() == "100-continue"
                    if isAsking, announced <= api.limits.bodyBytes { try await sink.letBodyCome() }
                    let data = try await collect(body, isSent: !isAsking || announced <= api.limits.bodyBytes, announced: announced)
                    await api.answer(
                        APIRequest(
                            method: request.method.rawValue, path: path, authorization: headers[.authorization], origin: headers[.origin],
                            host: request.head.authority, body: data), to: sink)
                } catch let error as APIError {
                    await api.refuse(error, path: path, to: sink)
                }
            }
        }

        /// The whole body.
        ///
        /// - Parameter isSent: false for a client that asked and was not let.
        /// - Throws: `APIError` for one that is too large (413) or does not come (408).
        private func collect(_ body: RequestBody, isSent: Bool, announced: Int) async throws -> Data {
            let limit = api.limits.bodyBytes
            let tooLarge = APIError(413, "The body of the request is larger than \(limit) bytes.", code: "body_too_large")
            guard isSent else { throw tooLarge }
            return try await withThrowingTaskGroup(of: Data.self) { group in
                group.addTask {
                    var data = Data()
                    var passedOver = 0
                    let isTooLarge = announced > limit
                    for try await buffer in body {
                        // A client that still sends when its connection is closed loses the answer, so some of what is too much is read.
                        if !isTooLarge, passedOver == 0, data.count + buffer.readableBytes <= limit {
                            data.append(contentsOf: buffer.readableBytesView)
                        } else {
                            passedOver += buffer.readableBytes
                            if passedOver > Self.mostPassedOver { throw tooLarge }
                        }
                    }
                    if isTooLarge || passedOver > 0 { throw tooLarge }
                    return data
                }
                group.addTask { [time = api.limits.bodyTime] in
                    try await Task.sleep(for: time)
                    throw APIError(408, "The body of the request did not come within \(time.seconds) s.", code: "request_timeout")
                }
                defer { group.cancelAll() }
                guard let data = try await group.next() else { throw CancellationError() }
                return data
            }
        }

        private static let mostPassedOver = 64 << 20
    }
#endif
