#if Server
    import Foundation
    import HTTPTypes
    import HummingbirdCore
    import NIOCore
    import Serving

    /// Writes an answer to a connection. Writes wait while the client does not keep up.
    ///
    /// The connection ends with the answer, which its head says.
    final class ResponseSink: AnswerSink, @unchecked Sendable {  // One task at a time answers a request.
        /// Before anything has been written.
        private var head: ResponseWriter?
        /// Of an answer in parts.
        private var body: (any ResponseBodyWriter)?

        init(_ writer: consuming ResponseWriter) { head = consume writer }

        /// Lets a client go on that asks before it sends its body.
        func letBodyCome() async throws { try await head?.writeInformationalHead(HTTPResponse(status: .continue)) }

        func send(status: Int, headers: [String: String], body: Data) async throws {
            guard let writer = head.take() else { return }
            var fields = Self.fields(headers)
            fields[.contentLength] = "\(body.count)"
            try await writer.write(
                response: HTTPResponse(status: HTTPResponse.Status(code: status), headerFields: fields),
                body: ResponseBody(byteBuffer: ByteBuffer(bytes: body)))
        }

        func begin(status: Int, headers: [String: String]) async throws {
            guard let writer = head.take() else { return }
            body = try await writer.writeHead(
                HTTPResponse(status: HTTPResponse.Status(code: status), headerFields: Self.fields(headers)))
        }

        func write(_ data: Data) async throws { try await body?.write(ByteBuffer(bytes: data)) }

        func end() async throws {
            try await body?.finish(nil)
            body = nil
        }

        private static func fields(_ headers: [String: String]) -> HTTPFields {
            var fields = HTTPFields()
            for (name, value) in headers { if let name = HTTPField.Name(name) { fields[name] = value } }
            fields[.connection] = "close"
            return fields
        }
    }
#endif
