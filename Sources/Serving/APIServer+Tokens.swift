import Foundation
import LanguageModels
import ModelFormats
import SampleAttention

/// The model and its tokens.
extension APIServer {
    /// The body of an answer of `/v1/models`.
    struct ModelList: Encodable {
        let object = "list"
        let data: [Model]

        struct Model: Encodable {
            let id: String
            let object = "model"
            let created: Int
            let ownedBy = "sample-attention"
            /// Fields of this server's own.
            let contextLength: Int
            let attention: String
            let chat: Bool

            private enum CodingKeys: String, CodingKey {
                case id, object, created, attention, chat
                case ownedBy = "owned_by"
                case contextLength = "context_length"
            }
        }

        init(_ server: APIServer) {
            data = [
                Model(
                    id: server.modelName, created: Int(server.began.timeIntervalSince1970), contextLength: server.engine.contextLength,
                    attention: server.engine.policy.name, chat: server.chat != nil)
            ]
        }
    }

    struct Tokens: Codable {
        let tokens: [Int32]
    }

    struct Content: Encodable {
        let content: String
    }

    private struct TokenizeRequest: Decodable {
        let content: String
        let addsSpecial: Bool?

        private enum CodingKeys: String, CodingKey {
            case content
            case addsSpecial = "add_special"
        }
    }

    /// The tokens of a text; with `add_special` those of a prompt, which may begin with a token of its own.
    func tokenize(_ body: Data) throws(APIError) -> Tokens {
        let request = try JSONBody.decode(TokenizeRequest.self, from: body)
        let tokenizer = engine.model.tokenizer
        return Tokens(
            tokens: request.addsSpecial ?? false ? tokenizer.encodePrompt(request.content) : tokenizer.encode(request.content))
    }

    func detokenize(_ body: Data) throws(APIError) -> Content {
        let request = try JSONBody.decode(Tokens.self, from: body)
        let size = engine.model.tokenizer.vocabularySize
        guard request.tokens.allSatisfy({ (0..<Int32(size)).contains($0) }) else {
            throw .invalid("tokens", "must be from 0 to \(size - 1)")
        }
        return Content(content: engine.model.tokenizer.decode(request.tokens))
    }
}
