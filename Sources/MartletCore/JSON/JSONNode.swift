/// A parsed jsonb document. Numbers keep their digits (numeric's text), strings their bytes without escapes.
///
/// Depth is at most `JSONNode.depthMax`, so recursion over a node, its release included, is bounded.
package indirect enum JSONNode: Sendable {
    case null
    case boolean(Bool)
    /// PostgreSQL's numeric text: no exponent, trailing zeros kept.
    case number(String)
    case string(String)
    case array([JSONNode])
    /// Keys unique, ordered by length and then bytes.
    case object([Member])

    package struct Member: Sendable {
        package let key: String
        package let value: JSONNode

        package init(key: String, value: JSONNode) {
            self.key = key
            self.value = value
        }
    }

    package static let depthMax = 128

    // MARK: - Writing

    /// PostgreSQL's jsonb text: one space behind `:` and `,`.
    package var text: String {
        var output: [UInt8] = []
        write(into: &output)
        return String(decoding: output, as: UTF8.self)
    }

    private func write(into output: inout [UInt8]) {
        switch self {
        case .null: output += "null".utf8
        case .boolean(let value): output += (value ? "true" : "false").utf8
        case .number(let digits): output += digits.utf8
        case .string(let value): JSONNode.write(value, into: &output)
        case .array(let elements):
            output.append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                if index > 0 { output += ", ".utf8 }
                element.write(into: &output)
            }
            output.append(UInt8(ascii: "]"))
        case .object(let members):
            output.append(UInt8(ascii: "{"))
            for (index, member) in members.enumerated() {
                if index > 0 { output += ", ".utf8 }
                JSONNode.write(member.key, into: &output)
                output += ": ".utf8
                member.value.write(into: &output)
            }
            output.append(UInt8(ascii: "}"))
        }
    }

    /// `jsonb_pretty`: four spaces a level.
    package var pretty: String {
        var output: [UInt8] = []
        writePretty(into: &output, indent: 0)
        return String(decoding: output, as: UTF8.self)
    }

    private func writePretty(into output: inout [UInt8], indent: Int) {
        func line(_ level: Int) {
            output.append(0x0A)
            output += Array(repeating: 0x20, count: level * 4)
        }
        switch self {
        case .array(let elements):
            output.append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                if index > 0 { output.append(UInt8(ascii: ",")) }
                line(indent + 1)
                element.writePretty(into: &output, indent: indent + 1)
            }
            line(indent)
            output.append(UInt8(ascii: "]"))
        case .object(let members):
            output.append(UInt8(ascii: "{"))
            for (index, member) in members.enumerated() {
                if index > 0 { output.append(UInt8(ascii: ",")) }
                line(indent + 1)
                JSONNode.write(member.key, into: &output)
                output += ": ".utf8
                member.value.writePretty(into: &output, indent: indent + 1)
            }
            line(indent)
            output.append(UInt8(ascii: "}"))
        case .null, .boolean, .number, .string: write(into: &output)
        }
    }

    /// A JSON string with PostgreSQL's escapes: the short forms, `\u00xx` for other control characters, nothing else.
    package static func write(_ string: String, into output: inout [UInt8]) {
        output.append(UInt8(ascii: "\""))
        for byte in string.utf8 {
            switch byte {
            case UInt8(ascii: "\""): output += "\\\"".utf8
            case UInt8(ascii: "\\"): output += "\\\\".utf8
            case 0x08: output += "\\b".utf8
            case 0x09: output += "\\t".utf8
            case 0x0A: output += "\\n".utf8
            case 0x0C: output += "\\f".utf8
            case 0x0D: output += "\\r".utf8
            case 0..<0x20:
                output += "\\u00".utf8
                output.append(Hexadecimal.digit(byte >> 4))
                output.append(Hexadecimal.digit(byte & 15))
            default: output.append(byte)
            }
        }
        output.append(UInt8(ascii: "\""))
    }

    // MARK: - Making

    /// An object of `members` in any order; the last of equal keys wins.
    package static func object(of members: [Member]) -> JSONNode {
        var positions: [[UInt8]: Int] = [:]
        var unique: [(key: [UInt8], member: Member)] = []
        for member in members {
            let key = Array(member.key.utf8)
            if let position = positions[key] {
                unique[position].member = member
            } else {
                positions[key] = unique.count
                unique.append((key, member))
            }
        }
        unique.sort { left, right in
            left.key.count != right.key.count
                ? left.key.count < right.key.count : left.key.lexicographicallyPrecedes(right.key)
        }
        return .object(unique.map(\.member))
    }

    // MARK: - Looking

    /// The member's value of an object; nil for other nodes.
    package subscript(key key: String) -> JSONNode? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.key.utf8.elementsEqual(key.utf8) }?.value
    }

    /// The element of an array, counted from the end where negative; nil for other nodes.
    package subscript(index index: Int) -> JSONNode? {
        guard case .array(let elements) = self else { return nil }
        let position = index < 0 ? elements.count + index : index
        return position >= 0 && position < elements.count ? elements[position] : nil
    }

    /// `#>`: each step a key or an index.
    package func follow(_ path: [String]) -> JSONNode? {
        var node = self
        for step in path {
            let next: JSONNode?
            switch node {
            case .object: next = node[key: step]
            case .array: next = Int32(step).flatMap { node[index: Int($0)] }
            case .null, .boolean, .number, .string: next = nil
            }
            guard let next else { return nil }
            node = next
        }
        return node
    }

    package var typeName: String {
        switch self {
        case .null: "null"
        case .boolean: "boolean"
        case .number: "number"
        case .string: "string"
        case .array: "array"
        case .object: "object"
        }
    }

    /// What `->>` gives: a string without quotes, nil for null, other nodes as jsonb text.
    package var unquoted: String? {
        switch self {
        case .null: nil
        case .string(let value): value
        case .boolean, .number, .array, .object: text
        }
    }

    /// `@>`: every member and element of `other` is found here; order and repetition of elements do not matter.
    package func contains(_ other: JSONNode) -> Bool {
        switch (self, other) {
        case (.object, .object(let members)):
            return members.allSatisfy { member in self[key: member.key]?.contains(member.value) ?? false }
        case (.array(let elements), .array(let wanted)):
            return wanted.allSatisfy { item in
                switch item {
                case .array, .object: elements.contains { $0.isContainer && $0.contains(item) }
                case .null, .boolean, .number, .string: elements.contains { JSONNode.compare($0, item) == 0 }
                }
            }
        default: return !isContainer && !other.isContainer && JSONNode.compare(self, other) == 0
        }
    }

    package var isContainer: Bool {
        switch self {
        case .array, .object: true
        case .null, .boolean, .number, .string: false
        }
    }

    // MARK: - Order

    /// jsonb's order: null < string < number < boolean < array < object, smaller containers first; negative, 0,
    /// positive. The empty array at the top sorts before every scalar, as in PostgreSQL.
    package static func compare(_ left: JSONNode, _ right: JSONNode, isTop: Bool = true) -> Int {
        switch (left, right) {
        case (.null, .null): return 0
        case (.boolean(let a), .boolean(let b)): return (a ? 1 : 0) - (b ? 1 : 0)
        case (.number(let a), .number(let b)): return compareNumbers(a, b)
        case (.string(let a), .string(let b)): return compareBytes(a, b)
        case (.array(let a), .array(let b)):
            if a.count != b.count { return a.count < b.count ? -1 : 1 }
            for (x, y) in zip(a, b) {
                let order = compare(x, y, isTop: false)
                if order != 0 { return order }
            }
            return 0
        case (.object(let a), .object(let b)):
            if a.count != b.count { return a.count < b.count ? -1 : 1 }
            for (x, y) in zip(a, b) {
                let order = compareBytes(x.key, y.key)
                if order != 0 { return order }
                let values = compare(x.value, y.value, isTop: false)
                if values != 0 { return values }
            }
            return 0
        default:
            if isTop {
                if case .array(let elements) = left, elements.isEmpty, !right.isContainer { return -1 }
                if case .array(let elements) = right, elements.isEmpty, !left.isContainer { return 1 }
            }
            return left.rank < right.rank ? -1 : 1
        }
    }

    private var rank: Int {
        switch self {
        case .null: 0
        case .string: 1
        case .number: 2
        case .boolean: 3
        case .array: 4
        case .object: 5
        }
    }

    private static func compareBytes(_ left: String, _ right: String) -> Int {
        left.utf8.lexicographicallyPrecedes(right.utf8) ? -1 : left.utf8.elementsEqual(right.utf8) ? 0 : 1
    }

    /// Of any length: signs, then whole digits, then fractions without trailing zeros.
    private static func compareNumbers(_ left: String, _ right: String) -> Int {
        let (a, b) = (NumberParts(left), NumberParts(right))
        if a.sign != b.sign { return a.sign - b.sign }
        let order: Int
        if a.whole.count != b.whole.count {
            order = a.whole.count < b.whole.count ? -1 : 1
        } else if !a.whole.elementsEqual(b.whole) {
            order = a.whole.lexicographicallyPrecedes(b.whole) ? -1 : 1
        } else if a.fraction.elementsEqual(b.fraction) {
            order = 0
        } else {
            order = a.fraction.lexicographicallyPrecedes(b.fraction) ? -1 : 1
        }
        return a.sign * order
    }

    struct NumberParts {
        var sign: Int
        var whole: Substring.UTF8View
        var fraction: Substring.UTF8View

        init(_ text: String) {
            var rest = text[...].utf8
            let isNegative = rest.first == UInt8(ascii: "-")
            if isNegative { rest = rest.dropFirst() }
            let point = rest.firstIndex(of: UInt8(ascii: ".")) ?? rest.endIndex
            whole = rest[..<point].drop { $0 == 0x30 }
            fraction = point == rest.endIndex ? rest[point...] : rest[rest.index(after: point)...]
            while fraction.last == 0x30 { fraction = fraction.dropLast() }
            sign = whole.isEmpty && fraction.isEmpty ? 0 : isNegative ? -1 : 1
        }
    }
}

/// jsonb documents by their canonical text.
package enum JSONDocument {
    /// The canonical jsonb text of a JSON text; 22P02 where it is none.
    package static func canonical(_ text: String) throws(SQLError) -> String { try JSONNode(text: text).text }

    /// Equal as jsonb: 1.0 equals 1.00 inside of documents too.
    static func areEqual(_ left: String, _ right: String) -> Bool {
        if left.utf8.elementsEqual(right.utf8) { return true }
        return compare(left, right) == 0
    }

    static func compare(_ left: String, _ right: String) -> Int {
        guard let a = try? JSONNode(text: left), let b = try? JSONNode(text: right) else {
            return left.utf8.lexicographicallyPrecedes(right.utf8) ? -1 : left.utf8.elementsEqual(right.utf8) ? 0 : 1
        }
        return JSONNode.compare(a, b)
    }

    /// The same text for equal documents: fractions without trailing zeros.
    static func withoutTrailingZeros(_ text: String) -> String {
        guard text.utf8.contains(UInt8(ascii: ".")), let node = try? JSONNode(text: text) else { return text }
        func trimmed(_ node: JSONNode) -> JSONNode {
            switch node {
            case .number(let digits):
                guard digits.utf8.contains(UInt8(ascii: ".")) else { return node }
                let kept = digits.utf8.reversed().drop { $0 == UInt8(ascii: "0") }.drop { $0 == UInt8(ascii: ".") }
                return .number(String(decoding: kept.reversed(), as: UTF8.self))
            case .array(let elements): return .array(elements.map(trimmed))
            case .object(let members): return .object(members.map { JSONNode.Member(key: $0.key, value: trimmed($0.value)) })
            case .null, .boolean, .string: return node
            }
        }
        return trimmed(node).text
    }

    /// Feeds a hasher the same bytes for equal documents: a number's zeros behind the point's last digit are left out.
    static func hash(_ text: String, into hasher: inout Hasher) {
        guard let node = try? JSONNode(text: text) else { return }
        hash(node, into: &hasher)
    }

    private static func hash(_ node: JSONNode, into hasher: inout Hasher) {
        switch node {
        case .null: hasher.combine(0)
        case .boolean(let value): hasher.combine(value)
        case .number(let digits):
            let parts = JSONNode.NumberParts(digits)
            hasher.combine(parts.sign)
            for byte in parts.whole { hasher.combine(byte) }
            for byte in parts.fraction { hasher.combine(byte) }
        case .string(let value): for byte in value.utf8 { hasher.combine(byte) }
        case .array(let elements):
            hasher.combine(elements.count)
            for element in elements { hash(element, into: &hasher) }
        case .object(let members):
            hasher.combine(members.count)
            for member in members {
                for byte in member.key.utf8 { hasher.combine(byte) }
                hash(member.value, into: &hasher)
            }
        }
    }
}
