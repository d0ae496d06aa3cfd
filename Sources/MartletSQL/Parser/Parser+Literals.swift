internal import MartletCore

/// Decoding of literal tokens into their values.
extension Parser {
    func stringValue(of token: Token) throws(SQLError) -> String {
        let start = Int(token.start)
        let decoded: [UInt8]
        switch token.kind {
        case .dollarString:
            let range = bytes[start..<Int(token.end)]
            // `$tag$`: the second dollar sign ends the tag.
            let tagLength = range.dropFirst().prefix { $0 != UInt8(ascii: "$") }.count + 2
            decoded = Array(range.dropFirst(tagLength).dropLast(tagLength))
        case .escapeString: decoded = try escaped(segments(from: start + 1, to: Int(token.end)), at: start)
        case .unicodeString: decoded = try unicodeEscaped(segments(from: start + 2, to: Int(token.end)), at: start)
        default: decoded = segments(from: start, to: Int(token.end))
        }
        if decoded.contains(0) {
            throw SQLError(.characterNotInRepertoire, "invalid byte sequence for encoding \"UTF8\": 0x00", at: start)
        }
        guard let text = String(validating: decoded, as: UTF8.self) else {
            throw SQLError(.characterNotInRepertoire, "invalid byte sequence for encoding \"UTF8\" in string", at: start)
        }
        return text
    }

    /// The content of `'…'`, and of `'…'<newline>'…'` joined; doubled quotes stay for escape strings' own decoder to see as one.
    private func segments(from start: Int, to end: Int) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(end - start)
        let isEscape = start > 0 && lowered(bytes[start - 1]) == UInt8(ascii: "e")
        var index = start
        while index < end {
            // At an opening quote or the white space before one.
            guard bytes[index] == UInt8(ascii: "'") else {
                index += 1
                continue
            }
            index += 1
            while index < end {
                let byte = bytes[index]
                if byte == UInt8(ascii: "'") {
                    guard index + 1 < end, bytes[index + 1] == UInt8(ascii: "'") else {
                        index += 1
                        break
                    }
                    index += 1
                } else if isEscape, byte == UInt8(ascii: "\\"), index + 1 < end {
                    result.append(byte)
                    index += 1
                }
                result.append(bytes[index])
                index += 1
            }
        }
        return result
    }

    /// C-style escapes of E'…'.
    private func escaped(_ content: [UInt8], at position: Int) throws(SQLError) -> [UInt8] {
        var result: [UInt8] = []
        var index = 0
        func digits(_ limit: Int, _ isOctal: Bool) -> (value: UInt32, count: Int) {
            var value: UInt32 = 0
            var count = 0
            while count < limit, index + count < content.count, let digit = Hexadecimal.value(of: content[index + count]),
                !isOctal || digit < 8
            {
                value = value << (isOctal ? 3 : 4) | UInt32(digit)
                count += 1
            }
            return (value, count)
        }
        var highSurrogate: UInt32?
        while index < content.count {
            let byte = content[index]
            index += 1
            guard byte == UInt8(ascii: "\\"), index < content.count else {
                if highSurrogate != nil { throw invalidSurrogate(position) }
                result.append(byte)
                continue
            }
            let escape = content[index]
            index += 1
            if highSurrogate != nil, escape != UInt8(ascii: "u"), escape != UInt8(ascii: "U") { throw invalidSurrogate(position) }
            switch escape {
            case UInt8(ascii: "b"): result.append(8)
            case UInt8(ascii: "f"): result.append(12)
            case UInt8(ascii: "n"): result.append(10)
            case UInt8(ascii: "r"): result.append(13)
            case UInt8(ascii: "t"): result.append(9)
            case UInt8(ascii: "v"): result.append(11)
            case UInt8(ascii: "0")...UInt8(ascii: "7"):
                index -= 1
                let (value, count) = digits(3, true)
                index += count
                result.append(UInt8(truncatingIfNeeded: value))
            case UInt8(ascii: "x"):
                let (value, count) = digits(2, false)
                if count == 0 { result.append(escape) } else { result.append(UInt8(truncatingIfNeeded: value)) }
                index += count
            case UInt8(ascii: "u"), UInt8(ascii: "U"):
                let wanted = escape == UInt8(ascii: "u") ? 4 : 8
                let (value, count) = digits(wanted, false)
                guard count == wanted else {
                    throw SQLError(
                        .invalidEscapeSequence, "invalid Unicode escape", at: position,
                        hint: "Unicode escapes must be \\uXXXX or \\UXXXXXXXX.")
                }
                index += count
                try append(value, &highSurrogate, to: &result, position)
            default: result.append(escape)
            }
        }
        if highSurrogate != nil { throw invalidSurrogate(position) }
        return result
    }

    /// `\XXXX` and `\+XXXXXX` of U&'…'.
    private func unicodeEscaped(_ content: [UInt8], at position: Int) throws(SQLError) -> [UInt8] {
        var result: [UInt8] = []
        var index = 0
        var highSurrogate: UInt32?
        while index < content.count {
            let byte = content[index]
            index += 1
            guard byte == UInt8(ascii: "\\") else {
                if highSurrogate != nil { throw invalidSurrogate(position) }
                result.append(byte)
                continue
            }
            if index < content.count, content[index] == UInt8(ascii: "\\") {
                index += 1
                result.append(byte)
                continue
            }
            var wanted = 4
            if index < content.count, content[index] == UInt8(ascii: "+") {
                wanted = 6
                index += 1
            }
            var value: UInt32 = 0
            for _ in 0..<wanted {
                guard index < content.count, let digit = Hexadecimal.value(of: content[index]) else {
                    throw SQLError(
                        .syntaxError, "invalid Unicode escape", at: position, hint: "Unicode escapes must be \\XXXX or \\+XXXXXX.")
                }
                value = value << 4 | UInt32(digit)
                index += 1
            }
            try append(value, &highSurrogate, to: &result, position)
        }
        if highSurrogate != nil { throw invalidSurrogate(position) }
        return result
    }

    private func append(_ value: UInt32, _ highSurrogate: inout UInt32?, to result: inout [UInt8], _ position: Int) throws(SQLError) {
        var value = value
        if let high = highSurrogate {
            guard value >= 0xDC00, value < 0xE000 else { throw invalidSurrogate(position) }
            value = 0x10000 + (high - 0xD800) << 10 + (value - 0xDC00)
            highSurrogate = nil
        } else if value >= 0xD800, value < 0xDC00 {
            highSurrogate = value
            return
        }
        guard let scalar = Unicode.Scalar(value) else {
            throw SQLError(.syntaxError, "invalid Unicode escape value", at: position)
        }
        result.append(contentsOf: Array(String(Character(scalar)).utf8))
    }

    private func invalidSurrogate(_ position: Int) -> SQLError {
        SQLError(.syntaxError, "invalid Unicode surrogate pair", at: position)
    }

    /// X'1FA0': PostgreSQL makes a bit string of it; here it is bytes, the only use anybody makes of it.
    func bytesValue(of token: Token) throws(SQLError) -> [UInt8] {
        let content = segments(from: Int(token.start) + 1, to: Int(token.end))
        var result: [UInt8] = []
        for index in stride(from: 0, to: content.count, by: 2) {
            guard let high = Hexadecimal.value(of: content[index]), index + 1 < content.count,
                let low = Hexadecimal.value(of: content[index + 1])
            else {
                throw SQLError(.invalidTextRepresentation, "invalid hexadecimal string literal", at: Int(token.start))
            }
            result.append(high << 4 | low)
        }
        return result
    }

    /// Decimal digits of an integer literal: separators removed, other radixes converted.
    func integerDigits(of token: Token) throws(SQLError) -> String {
        let range = bytes[Int(token.start)..<Int(token.end)].filter { $0 != UInt8(ascii: "_") }
        guard range.count > 1, range[0] == UInt8(ascii: "0"), !isDigit(range[1]) else { return String(decoding: range, as: UTF8.self) }
        let radix = range[1] | 0x20 == UInt8(ascii: "x") ? 16 : range[1] | 0x20 == UInt8(ascii: "o") ? 8 : 2
        let digits = String(decoding: range[2...], as: UTF8.self)
        guard !digits.isEmpty, digits.utf8.allSatisfy({ Hexadecimal.value(of: $0).map { Int($0) < radix } ?? false }) else {
            let kind = radix == 16 ? "hexadecimal" : radix == 8 ? "octal" : "binary"
            throw .syntaxError("invalid \(kind) integer at or near \"\(sourceText(of: token))\"", at: Int(token.start))
        }
        guard let value = UInt64(digits, radix: radix) else {
            throw SQLError(.numericValueOutOfRange, "integer \"\(sourceText(of: token))\" is out of range", at: Int(token.start))
        }
        return String(value)
    }

    func numberText(of token: Token) -> String {
        String(decoding: bytes[Int(token.start)..<Int(token.end)].filter { $0 != UInt8(ascii: "_") }, as: UTF8.self)
    }
}

/// Content between quotes with doubled quotes made single.
func unescapedQuotes(_ content: ArraySlice<UInt8>, quote: UInt8) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(content.count)
    var skip = false
    for byte in content {
        if byte == quote, !skip {
            skip = true
            result.append(byte)
            continue
        }
        if !(byte == quote && skip) { result.append(byte) }
        skip = false
    }
    return result
}
