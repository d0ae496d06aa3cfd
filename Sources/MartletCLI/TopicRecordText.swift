import MartletCore
import MartletLog

/// Records as text.
enum TopicRecordText {
    /// `{"topic":…,"partition":…,"offset":…,"timestamp":ms,"key":…,"value":…,"headers":{…}}`. Bytes that are no UTF-8 stand
    /// as base64 under the name with `_base64`.
    static func writeJSON(_ record: RecordView, _ partition: Int32, _ topic: String, to sink: ByteSink) {
        sink.append("{\"topic\":")
        sink.append(jsonString: topic)
        sink.append(",\"partition\":")
        sink.append(decimal: Int64(partition))
        sink.append(",\"offset\":")
        sink.append(decimal: record.offset)
        sink.append(",\"timestamp\":")
        sink.append(decimal: record.timestamp)
        sink.append(",")
        writeMember("key", record.key, to: sink)
        sink.append(",")
        writeMember("value", record.value, to: sink)
        sink.append(",\"headers\":{")
        var isFirst = true
        for header in record.headers {
            if !isFirst { sink.append(",") }
            isFirst = false
            writeMember(String(decoding: header.key, as: UTF8.self), header.value, to: sink)
        }
        sink.append("}}\n")
    }

    private static func writeMember(_ name: String, _ bytes: UnsafeRawBufferPointer?, to sink: ByteSink) {
        guard let bytes else {
            sink.append(jsonString: name)
            sink.append(":null")
            return
        }
        if let text = String(validating: bytes, as: UTF8.self) {
            sink.append(jsonString: name)
            sink.append(":")
            sink.append(jsonString: text)
        } else {
            sink.append(jsonString: name + "_base64")
            sink.append(":")
            sink.append(jsonString: base64(bytes))
        }
    }

    /// RFC 4648, with padding.
    private static func base64(_ bytes: UnsafeRawBufferPointer) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
        var text = ""
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let count = min(3, bytes.count - start)
            let group = (0..<3).reduce(UInt32(0)) { $0 << 8 | ($1 < count ? UInt32(bytes[start + $1]) : 0) }
            for digit in 0..<4 { text.append(digit <= count ? alphabet[Int(group >> UInt32(18 - 6 * digit) & 63)] : "=") }
        }
        return text
    }

    /// partition,offset,timestamp,key,value,headers; a missing key or value is empty without quotes.
    static func writeCSV(_ record: RecordView, _ partition: Int32, to sink: ByteSink) {
        let key = record.key.map { Listing.quoted(String(decoding: $0, as: UTF8.self)) } ?? ""
        let value = record.value.map { Listing.quoted(String(decoding: $0, as: UTF8.self)) } ?? ""
        sink.append(text: "\(partition),\(record.offset),\(record.timestamp),\(key),\(value),\(Listing.quoted(headers(record)))\n")
    }

    /// The parts named, in that order, between tabs. The value's bytes stand as they are.
    static func writePlain(_ record: RecordView, _ partition: Int32, _ parts: [String], to sink: ByteSink) {
        for (index, part) in parts.enumerated() {
            if index > 0 { sink.append("\t") }
            switch part {
            case "partitions": sink.append(decimal: Int64(partition))
            case "offsets": sink.append(decimal: record.offset)
            case "timestamps": sink.append(utcTimestamp: record.timestamp.multipliedReportingOverflow(by: 1_000).partialValue)
            case "keys": if let key = record.key { sink.append(key) }
            case "headers": sink.append(text: headers(record))
            default: if let value = record.value { sink.append(value) }
            }
        }
        sink.append("\n")
    }

    /// `name=value,name=value`.
    private static func headers(_ record: RecordView) -> String {
        record.headers.map { header in
            "\(String(decoding: header.key, as: UTF8.self))=\(header.value.map { String(decoding: $0, as: UTF8.self) } ?? "")"
        }.joined(separator: ",")
    }
}
