package import MartletCore

/// JSONB as key: two canonical texts denote the same document iff they agree after the trailing zeros of fractions
/// ("1.50", "2.0") are dropped.
enum Documents {
    /// Calls `body` with the text, trailing zeros of fractions dropped; without copying where there is no fraction.
    static func withoutTrailingZeros<Answer>(
        _ view: StringView, _ body: (UnsafeBufferPointer<UInt8>) -> Answer
    ) -> Answer {
        view.withBytes { bytes in
            guard bytes.contains(UInt8(ascii: ".")) else { return body(bytes) }
            let copy = strip(bytes)
            return copy.withUnsafeBufferPointer(body)
        }
    }

    static func areEqual(_ left: StringView, _ right: StringView) -> Bool {
        if left == right { return true }
        return withoutTrailingZeros(left) { a in
            withoutTrailingZeros(right) { b in a.count == b.count && a.elementsEqual(b) }
        }
    }

    private static func strip(_ bytes: UnsafeBufferPointer<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count)
        var isString = false
        var at = 0
        while at < bytes.count {
            let byte = bytes[at]
            if isString {
                if byte == UInt8(ascii: "\\"), at + 1 < bytes.count {
                    result.append(byte)
                    at += 1
                    result.append(bytes[at])
                } else {
                    result.append(byte)
                    if byte == UInt8(ascii: "\"") { isString = false }
                }
                at += 1
                continue
            }
            if byte != UInt8(ascii: ".") {
                if byte == UInt8(ascii: "\"") { isString = true }
                result.append(byte)
                at += 1
                continue
            }
            var end = at + 1
            while end < bytes.count, bytes[end] >= 0x30, bytes[end] <= 0x39 { end += 1 }
            var kept = end
            while kept > at + 1, bytes[kept - 1] == 0x30 { kept -= 1 }
            if kept > at + 1 { result.append(contentsOf: bytes[at..<kept]) }
            at = end
        }
        return result
    }
}

extension StringView {
    /// Whether two values of a type that lies in views are the same key.
    package static func areEqual(_ left: StringView, _ right: StringView, as type: DataType) -> Bool {
        if left == right { return true }
        if type == .jsonb { return Documents.areEqual(left, right) }
        guard type.isNested, ValueCodec.isLoose(type) else { return false }
        let values = [left, right].map { view in view.withBytes { ValueCodec.decode($0, as: type) } }
        return values[0] == values[1]
    }

    /// Whether two JSONB texts denote the same document.
    package static func areEqualDocuments(_ left: StringView, _ right: StringView) -> Bool {
        Documents.areEqual(left, right)
    }

    /// A view that lives during the call only.
    static func withTemporary<Answer>(
        _ bytes: UnsafeBufferPointer<UInt8>, _ body: (StringView) -> Answer
    ) -> Answer {
        guard let start = bytes.baseAddress, bytes.count > 0 else { return body(.empty) }
        return body(StringView(start, count: bytes.count))
    }
}
