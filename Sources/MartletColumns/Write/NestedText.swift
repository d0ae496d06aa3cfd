internal import MartletCore

/// Arrays and structures as JSON, their members in the forms that columns have at the top.
enum NestedText {
    static func write(_ value: Value, _ sink: ByteSink) {
        switch value {
        case .null: sink.append("null")
        case .boolean(let flag): sink.append(flag ? "true" : "false")
        case .smallint, .integer, .bigint: append(value.text, sink)
        case .real(let number): number.isFinite ? append(value.text, sink) : quote(value.text, sink)
        case .double(let number): number.isFinite ? append(value.text, sink) : quote(value.text, sink)
        case .numeric(let number): number.isSpecial ? quote(value.text, sink) : append(number.text, sink)
        case .text(let text): quote(text, sink)
        case .jsonb(let text): append(text, sink)
        case .bytea(let bytes): bytes.withUnsafeBufferPointer { sink.append(base64: $0) }
        case .date(let days): bounded(sink) { Timestamps.writeDate(days, into: $0) }
        case .time(let micros): bounded(sink) { Timestamps.writeTime(micros, into: $0) }
        case .timestamp(let micros): bounded(sink) { Timestamps.write(micros, into: $0) }
        case .timestamptz(let micros): bounded(sink) { Timestamps.writeUTC(micros, into: $0) }
        case .interval, .uuid: quote(value.text, sink)
        case .array(let array): write(array, sink)
        case .structure(let structure):
            sink.append(Ascii.openBrace)
            for (at, field) in structure.fields.enumerated() {
                if at > 0 { sink.append(Ascii.comma) }
                quote(field.name, sink)
                sink.append(":")
                write(structure.values[at], sink)
            }
            sink.append(Ascii.closeBrace)
        }
    }

    private static func write(_ array: ArrayValue, _ sink: ByteSink) {
        guard !array.dimensions.isEmpty else { return sink.append("[]") }
        var index = 0
        func level(_ depth: Int) {
            sink.append("[")
            for at in 0..<array.dimensions[depth].count {
                if at > 0 { sink.append(Ascii.comma) }
                if depth < array.dimensions.count - 1 {
                    level(depth + 1)
                } else {
                    write(array.values[index], sink)
                    index += 1
                }
            }
            sink.append("]")
        }
        level(0)
    }

    private static func append(_ text: String, _ sink: ByteSink) {
        sink.append(text: text)
    }

    private static func quote(_ text: String, _ sink: ByteSink) {
        var copy = text
        copy.withUTF8 { sink.append(jsonString: $0) }
    }

    private static func bounded(_ sink: ByteSink, _ body: (UnsafeMutablePointer<UInt8>) -> Int) {
        let target = sink.reserve(ValueText.bytesMax)
        target[0] = Ascii.quote
        let count = body(target + 1)
        target[count + 1] = Ascii.quote
        sink.commit(count + 2)
    }
}
