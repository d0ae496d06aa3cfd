/// What is wrong with the bytes of a connection, or with a message of ours that cannot be put into bytes. Sorted by what
/// the caller can do; repeating the call never helps.
package enum KafkaError: Error, Sendable, Equatable {
    /// The peer's bytes are no message, and nothing after them can be understood: close the connection.
    case malformed(String)
    /// A frame that claims more bytes than are accepted: close the connection, having read none of them.
    case frameTooLarge(length: Int64, limit: Int)
    /// An API or a version that is not spoken. Answer ApiVersions in version 0; else close the connection, as Kafka does.
    case unsupportedVersion(key: Int16, version: Int16)
    /// A value of ours that the message's version has no place for: our mistake, not the peer's.
    case unencodable(String)

    package var isRetriable: Bool { false }
}

extension KafkaError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .malformed(let detail): "not a Kafka message: \(detail)"
        case .frameTooLarge(let length, let limit): "a frame of \(length) bytes is larger than the \(limit) bytes accepted"
        case .unsupportedVersion(let key, let version): "version \(version) of API key \(key) is not supported"
        case .unencodable(let detail): "cannot write the Kafka message: \(detail)"
        }
    }
}
