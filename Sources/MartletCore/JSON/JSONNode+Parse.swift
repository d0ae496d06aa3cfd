extension JSONNode {
    /// Reads one JSON text. 22P02 where it is none, 54001 where it is nested deeper than `depthMax`, 22P05 for `\u0000`.
    package init(text: String) throws(SQLError) {
        var text = text
        let result: Result<JSONNode, SQLError> = text.withUTF8 { bytes in
            Result { () throws(SQLError) in
                var parser = JSONParser()
                return try parser.parse(bytes)
            }
        }
        self = try result.get()
    }
}

/// A recursive-descent reader, its depth bounded. Trusts that the bytes are UTF-8 (they come from a String).
private struct JSONParser {
    private var index = 0
    private var depth = 0

    static func invalid(_ detail: String) -> SQLError {
        SQLError(.invalidTextRepresentation, "invalid input syntax for type json", detail: detail)
    }

    private typealias Bytes = UnsafeBufferPointer<UInt8>

    mutating func parse(_ bytes: UnsafeBufferPointer<UInt8>) throws(SQLError) -> JSONNode {
        let node = try value(bytes)
        skipBlanks(bytes)
        if index < bytes.count { throw unexpected(bytes, "end of input") }
        return node
    }

    private mutating func skipBlanks(_ bytes: Bytes) {
        while index < bytes.count, bytes[index] == 0x20 || bytes[index] == 0x09 || bytes[index] == 0x0A || bytes[index] == 0x0D {
            index += 1
        }
    }

    /// PostgreSQL names the token that it met; here a word, a run of digits or one character.
    private func unexpected(_ bytes: Bytes, _ expected: String) -> SQLError {
        guard index < bytes.count else { return JSONParser.invalid("The input string ended unexpectedly.") }
        var end = index + 1
        func isWord(_ byte: UInt8) -> Bool {
            byte >= 0x80 || byte &- 0x30 < 10 || (byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A) || byte == UInt8(ascii: "_")
        }
        if isWord(bytes[index]) { while end < bytes.count, isWord(bytes[end]) { end += 1 } }
        let token = String(decoding: bytes[index..<min(end, index + 64)], as: UTF8.self)
        return JSONParser.invalid(
            isWord(bytes[index]) ? "Token \"\(token)\" is invalid." : "Expected \(expected), but found \"\(token)\".")
    }

    private mutating func value(_ bytes: Bytes) throws(SQLError) -> JSONNode {
        skipBlanks(bytes)
        guard index < bytes.count else { throw unexpected(bytes, "JSON value") }
        switch bytes[index] {
        case UInt8(ascii: "{"): return try nested(bytes) { (parser, bytes) throws(SQLError) in try parser.object(bytes) }
        case UInt8(ascii: "["): return try nested(bytes) { (parser, bytes) throws(SQLError) in try parser.array(bytes) }
        case UInt8(ascii: "\""): return .string(try string(bytes))
        case UInt8(ascii: "-"), 0x30...0x39: return .number(try number(bytes))
        case UInt8(ascii: "t"): return try word("true", .boolean(true), bytes)
        case UInt8(ascii: "f"): return try word("false", .boolean(false), bytes)
        case UInt8(ascii: "n"): return try word("null", .null, bytes)
        default: throw unexpected(bytes, "JSON value")
        }
    }

    private mutating func nested(
        _ bytes: Bytes, _ body: (inout JSONParser, Bytes) throws(SQLError) -> JSONNode
    ) throws(SQLError) -> JSONNode {
        guard depth < JSONNode.depthMax else {
            throw SQLError(
                .statementTooComplex, "JSON is nested too deeply",
                detail: "At most \(JSONNode.depthMax) levels are allowed.")
        }
        depth += 1
        index += 1
        let node = try body(&self, bytes)
        depth -= 1
        return node
    }

    private mutating func object(_ bytes: Bytes) throws(SQLError) -> JSONNode {
        var members: [JSONNode.Member] = []
        skipBlanks(bytes)
        if take(UInt8(ascii: "}"), bytes) { return .object([]) }
        while true {
            skipBlanks(bytes)
            guard index < bytes.count, bytes[index] == UInt8(ascii: "\"") else { throw unexpected(bytes, "string") }
            let key = try string(bytes)
            skipBlanks(bytes)
            guard take(UInt8(ascii: ":"), bytes) else { throw unexpected(bytes, "\":\"") }
            members.append(JSONNode.Member(key: key, value: try value(bytes)))
            skipBlanks(bytes)
            if take(UInt8(ascii: ","), bytes) { continue }
            guard take(UInt8(ascii: "}"), bytes) else { throw unexpected(bytes, "\",\" or \"}\"") }
            return JSONNode.object(of: members)
        }
    }

    private mutating func array(_ bytes: Bytes) throws(SQLError) -> JSONNode {
        var elements: [JSONNode] = []
        skipBlanks(bytes)
        if take(UInt8(ascii: "]"), bytes) { return .array([]) }
        while true {
            elements.append(try value(bytes))
            skipBlanks(bytes)
            if take(UInt8(ascii: ","), bytes) { continue }
            guard take(UInt8(ascii: "]"), bytes) else { throw unexpected(bytes, "\",\" or \"]\"") }
            return .array(elements)
        }
    }

    private mutating func take(_ byte: UInt8, _ bytes: Bytes) -> Bool {
        guard index < bytes.count, bytes[index] == byte else { return false }
        index += 1
        return true
    }

    private mutating func word(_ word: StaticString, _ node: JSONNode, _ bytes: Bytes) throws(SQLError) -> JSONNode {
        let count = word.utf8CodeUnitCount
        let end = index + count
        guard end <= bytes.count, bytes[index..<end].elementsEqual(UnsafeBufferPointer(start: word.utf8Start, count: count)),
            end == bytes.count || !(bytes[end] >= 0x80 || bytes[end] &- 0x30 < 10 || (bytes[end] | 0x20 >= 0x61 && bytes[end] | 0x20 <= 0x7A))
        else { throw unexpected(bytes, "JSON value") }
        index = end
        return node
    }

    // MARK: - Strings

    private mutating func string(_ bytes: Bytes) throws(SQLError) -> String {
        index += 1
        var start = index
        var unescaped: [UInt8] = []
        while index < bytes.count {
            let byte = bytes[index]
            if byte == UInt8(ascii: "\"") {
                unescaped += bytes[start..<index]
                index += 1
                return String(decoding: unescaped, as: UTF8.self)
            }
            if byte < 0x20 {
                throw JSONParser.invalid("Character with value 0x\(Hexadecimal.pair(byte)) must be escaped.")
            }
            if byte != UInt8(ascii: "\\") {
                index += 1
                continue
            }
            unescaped += bytes[start..<index]
            index += 1
            guard index < bytes.count else { break }
            switch bytes[index] {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): unescaped.append(bytes[index])
            case UInt8(ascii: "b"): unescaped.append(0x08)
            case UInt8(ascii: "f"): unescaped.append(0x0C)
            case UInt8(ascii: "n"): unescaped.append(0x0A)
            case UInt8(ascii: "r"): unescaped.append(0x0D)
            case UInt8(ascii: "t"): unescaped.append(0x09)
            case UInt8(ascii: "u"): try unicodeEscape(bytes, into: &unescaped)
            default:
                throw JSONParser.invalid("Escape sequence \"\\\(String(decoding: [bytes[index]], as: UTF8.self))\" is invalid.")
            }
            index += 1
            start = index
        }
        throw JSONParser.invalid("Token \"\"\" is invalid.")
    }

    /// At the `u`; leaves `index` at the last digit.
    private mutating func unicodeEscape(_ bytes: Bytes, into output: inout [UInt8]) throws(SQLError) {
        var unit = try fourDigits(bytes)
        if unit == 0 {
            throw SQLError(
                .untranslatableCharacter, "unsupported Unicode escape sequence",
                detail: "\\u0000 cannot be converted to text.")
        }
        if unit & 0xFC00 == 0xDC00 {
            throw JSONParser.invalid("Unicode low surrogate must follow a high surrogate.")
        }
        if unit & 0xFC00 == 0xD800 {
            guard index + 2 < bytes.count, bytes[index + 1] == UInt8(ascii: "\\"), bytes[index + 2] == UInt8(ascii: "u") else {
                throw JSONParser.invalid("Unicode low surrogate must follow a high surrogate.")
            }
            index += 2
            let low = try fourDigits(bytes)
            if low & 0xFC00 == 0xD800 {
                throw JSONParser.invalid("Unicode high surrogate must not follow a high surrogate.")
            }
            guard low & 0xFC00 == 0xDC00 else {
                throw JSONParser.invalid("Unicode low surrogate must follow a high surrogate.")
            }
            unit = 0x10000 + (unit & 0x3FF) << 10 + (low & 0x3FF)
        }
        guard let scalar = Unicode.Scalar(unit) else { throw JSONParser.invalid("Unicode escape is invalid.") }
        output += String(Character(scalar)).utf8
    }

    private mutating func fourDigits(_ bytes: Bytes) throws(SQLError) -> UInt32 {
        var unit: UInt32 = 0
        for _ in 0..<4 {
            index += 1
            guard index < bytes.count, let digit = Hexadecimal.value(of: bytes[index]) else {
                throw JSONParser.invalid("\"\\u\" must be followed by four hexadecimal digits.")
            }
            unit = unit << 4 | UInt32(digit)
        }
        return unit
    }

    // MARK: - Numbers

    /// The digits without exponent. Exponents are bounded, so that a short text cannot make a long one.
    private mutating func number(_ bytes: Bytes) throws(SQLError) -> String {
        let start = index
        _ = take(UInt8(ascii: "-"), bytes)
        let isNegative = index > start
        let whole = digits(bytes)
        guard !whole.isEmpty, whole.count == 1 || whole.first != 0x30 else { throw badNumber(bytes, start) }
        var fraction = bytes[index..<index]
        if take(UInt8(ascii: "."), bytes) {
            fraction = digits(bytes)
            guard !fraction.isEmpty else { throw badNumber(bytes, start) }
        }
        var exponent = 0
        if take(UInt8(ascii: "e"), bytes) || take(UInt8(ascii: "E"), bytes) {
            let isDown = take(UInt8(ascii: "-"), bytes)
            if !isDown { _ = take(UInt8(ascii: "+"), bytes) }
            let power = digits(bytes)
            guard !power.isEmpty else { throw badNumber(bytes, start) }
            for digit in power { exponent = min(exponent * 10 + Int(digit &- 0x30), 1_000_000) }
            if isDown { exponent = -exponent }
        }
        if index < bytes.count {
            let byte = bytes[index]
            if byte >= 0x80 || byte == UInt8(ascii: "_") || byte &- 0x30 < 10 || (byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A) {
                throw badNumber(bytes, start)
            }
        }
        let all = Array(whole) + Array(fraction)
        let place = whole.count + exponent
        guard exponent.magnitude <= JSONParser.exponentMax else { throw Decimal.overflow }
        var output: [UInt8] = []
        // The digits with the point at `place`, zeros filled in on either side.
        var head: [UInt8]
        let tail: [UInt8]
        if place <= 0 {
            head = []
            tail = Array(repeating: 0x30, count: -place) + all
        } else if place >= all.count {
            head = all + Array(repeating: 0x30, count: place - all.count)
            tail = []
        } else {
            head = Array(all[..<place])
            tail = Array(all[place...])
        }
        head = Array(head.drop { $0 == 0x30 })
        if isNegative, !head.isEmpty || tail.contains(where: { $0 != 0x30 }) { output.append(UInt8(ascii: "-")) }
        output += head.isEmpty ? [0x30] : head
        if !tail.isEmpty {
            output.append(UInt8(ascii: "."))
            output += tail
        }
        return String(decoding: output, as: UTF8.self)
    }

    private static let exponentMax = 1000

    private func badNumber(_ bytes: Bytes, _ start: Int) -> SQLError {
        var copy = self
        copy.index = start
        return copy.unexpected(bytes, "JSON value")
    }

    private mutating func digits(_ bytes: Bytes) -> Slice<Bytes> {
        let start = index
        while index < bytes.count, bytes[index] &- 0x30 < 10 { index += 1 }
        return bytes[start..<index]
    }
}
