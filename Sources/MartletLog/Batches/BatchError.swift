/// Why bytes are no acceptable record batch, by what the sender is told. Each case is one of Kafka's error codes.
package enum BatchError: Error, Sendable, Equatable {
    /// Lengths, checksum or encoding are wrong (CORRUPT_MESSAGE).
    case corrupt(String)
    /// A message set of Kafka before 0.11, or something newer than version 2 (UNSUPPORTED_FOR_MESSAGE_FORMAT).
    case unsupportedMagic(Int8)
    /// The attributes name a compression that does not exist (UNSUPPORTED_COMPRESSION_TYPE).
    case unsupportedCodec(UInt8)
    /// Well formed, and not allowed (INVALID_RECORD). `record` counts from 0 within the batch.
    case invalid(String, record: Int? = nil)
    /// A timestamp outside what the topic takes (INVALID_TIMESTAMP).
    case invalidTimestamp(String, record: Int? = nil)
    /// The batch, or what it decompresses to, is larger than allowed (MESSAGE_TOO_LARGE).
    case tooLarge(bytes: Int, limit: Int)
}

extension BatchError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .corrupt(let text): text
        case .unsupportedMagic(let magic): "record format \(magic) is not supported; it must be 2"
        case .unsupportedCodec(let number): "there is no compression \(number)"
        case .invalid(let text, let record), .invalidTimestamp(let text, let record):
            record.map { "\(text) (record \($0) of the batch)" } ?? text
        case .tooLarge(let bytes, let limit): "\(bytes) bytes, where at most \(limit) are allowed"
        }
    }
}
