/// Why bytes are no acceptable record batch, by what the sender is told. Each case is one of Kafka's error codes.
package enum BatchError: Error, Sendable, Equatable {
    /// Lengths, checksum or encoding are wrong (CORRUPT_MESSAGE).
    case corrupt(String)
    /// A message set of Kafka before 0.11, or something newer than version 2 (UNSUPPORTED_FOR_MESSAGE_FORMAT).
    case unsupportedMagic(Int8)
    /// The attributes name a compression that does not exist (UNSUPPORTED_COMPRESSION_TYPE).
    case unsupportedCodec(UInt8)
    /// Well formed, and not allowed (INVALID_RECORD). `records` are those at fault, counted from 0 within the batch, rising:
    /// the text is about the first, and at most `BatchError.recordsMax` are named (KIP-467).
    case invalid(String, records: [Int] = [])
    /// A timestamp outside what the topic takes (INVALID_TIMESTAMP).
    case invalidTimestamp(String, records: [Int] = [])
    /// The batch, or what it decompresses to, is larger than allowed (MESSAGE_TOO_LARGE).
    case tooLarge(bytes: Int, limit: Int)

    /// As many records as librdkafka puts into a batch by default. A bomb of a batch may have millions.
    static let recordsMax = 10_000
}

extension BatchError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .corrupt(let text): text
        case .unsupportedMagic(let magic): "record format \(magic) is not supported; it must be 2"
        case .unsupportedCodec(let number): "there is no compression \(number)"
        case .invalid(let text, let records), .invalidTimestamp(let text, let records):
            switch records.count {
            case 0: text
            case 1: "\(text) (record \(records[0]) of the batch)"
            default: "\(text) (record \(records[0]) of the batch, and more)"
            }
        case .tooLarge(let bytes, let limit): "\(bytes) bytes, where at most \(limit) are allowed"
        }
    }
}
