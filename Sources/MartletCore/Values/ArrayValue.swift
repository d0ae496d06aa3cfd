/// An array: elements of one type, NULL among them, in row-major order.
///
/// Without elements there are no dimensions, as in PostgreSQL. Equality is SQL's "not distinct": bounds count, NULLs
/// are equal.
package struct ArrayValue: Hashable, Sendable {
    package struct Dimension: Hashable, Sendable {
        /// Subscript of the first element, nearly always 1.
        package var lower: Int32
        package var count: Int32

        package init(lower: Int32 = 1, count: Int32) {
            self.lower = lower
            self.count = count
        }

        package var upper: Int32 { lower &+ count &- 1 }
    }

    /// Dimensions at most (PostgreSQL's MAXDIM).
    package static let dimensionsMax = 6
    /// Elements at most: what 1 GiB of pointers hold in PostgreSQL.
    package static let elementsMax = 134_217_727

    package let element: DataType
    package let dimensions: [Dimension]
    package let values: [Value]

    /// One dimension, subscripts from 1.
    package init(_ element: DataType, _ values: [Value]) {
        self.element = element
        self.values = values
        dimensions = values.isEmpty ? [] : [Dimension(count: Int32(clamping: values.count))]
    }

    /// The product of the dimensions' counts must be the number of values.
    package init(_ element: DataType, _ dimensions: [Dimension], _ values: [Value]) {
        self.element = element
        self.values = values
        self.dimensions = values.isEmpty ? [] : dimensions
    }

    package static func == (left: ArrayValue, right: ArrayValue) -> Bool {
        left.dimensions == right.dimensions && left.values == right.values
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(dimensions)
        hasher.combine(values)
    }

    /// btree order: element by element, NULL last, then the shorter first, then by dimensions.
    package static func compare(_ left: ArrayValue, _ right: ArrayValue) -> Int {
        for (a, b) in zip(left.values, right.values) {
            let order = Value.compare(a, b)
            if order != 0 { return order }
        }
        if left.values.count != right.values.count { return left.values.count < right.values.count ? -1 : 1 }
        if left.dimensions.count != right.dimensions.count { return left.dimensions.count < right.dimensions.count ? -1 : 1 }
        for (a, b) in zip(left.dimensions, right.dimensions) {
            if a.count != b.count { return a.count < b.count ? -1 : 1 }
            if a.lower != b.lower { return a.lower < b.lower ? -1 : 1 }
        }
        return 0
    }

    /// Every element as another type.
    func cast(to type: DataType, _ context: EvaluationContext) throws(SQLError) -> ArrayValue {
        var converted: [Value] = []
        converted.reserveCapacity(values.count)
        for value in values { converted.append(try value.cast(to: type, explicit: true, context: context)) }
        return ArrayValue(type.withoutModifiers, dimensions, converted)
    }

    /// The elements as nested lists, innermost dimension last.
    package func nested<Node>(
        of list: ([Node]) -> Node, _ leaf: (Value) throws(SQLError) -> Node
    ) throws(SQLError) -> Node {
        guard !dimensions.isEmpty else { return list([]) }
        var index = 0
        func level(_ depth: Int) throws(SQLError) -> Node {
            var nodes: [Node] = []
            for _ in 0..<dimensions[depth].count {
                if depth == dimensions.count - 1 {
                    nodes.append(try leaf(values[index]))
                    index += 1
                } else {
                    nodes.append(try level(depth + 1))
                }
            }
            return list(nodes)
        }
        return try level(0)
    }
}

// MARK: - Text

extension ArrayValue {
    /// PostgreSQL's array_out: `{1,NULL,"a b"}`, with the bounds in front where they do not begin at 1.
    package func text(in zone: TimeZone) -> String {
        guard !dimensions.isEmpty else { return "{}" }
        var output: [UInt8] = []
        if dimensions.contains(where: { $0.lower != 1 }) {
            for dimension in dimensions { output += "[\(dimension.lower):\(dimension.upper)]".utf8 }
            output.append(UInt8(ascii: "="))
        }
        var index = 0
        func level(_ depth: Int) {
            output.append(UInt8(ascii: "{"))
            for at in 0..<dimensions[depth].count {
                if at > 0 { output.append(UInt8(ascii: ",")) }
                if depth < dimensions.count - 1 {
                    level(depth + 1)
                } else {
                    ArrayValue.write(values[index], zone, into: &output)
                    index += 1
                }
            }
            output.append(UInt8(ascii: "}"))
        }
        level(0)
        return String(decoding: output, as: UTF8.self)
    }

    private static func write(_ value: Value, _ zone: TimeZone, into output: inout [UInt8]) {
        if value.isNull {
            output += "NULL".utf8
            return
        }
        let text = Array(value.text(in: zone).utf8)
        let needsQuotes =
            text.isEmpty || text.contains { "\"\\{},".utf8.contains($0) || Cast.isBlank($0) }
            || (text.count == 4 && text.map { $0 & 0xDF }.elementsEqual("NULL".utf8))
        guard needsQuotes else {
            output += text
            return
        }
        output.append(UInt8(ascii: "\""))
        for byte in text {
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { output.append(UInt8(ascii: "\\")) }
            output.append(byte)
        }
        output.append(UInt8(ascii: "\""))
    }

    /// PostgreSQL's array_in. 22P02 where the text is no array.
    package init(text: String, element: DataType, context: EvaluationContext) throws(SQLError) {
        var reader = ArrayReader(text: text, element: element, context: context)
        self = try reader.read()
    }
}

/// Reads `[l:u]={…}`; the text's size bounds the work, its depth is bounded by `dimensionsMax`.
private struct ArrayReader {
    private let text: String
    private let bytes: [UInt8]
    private let element: DataType
    private let context: EvaluationContext
    private var at = 0
    private var values: [Value] = []
    /// Elements per list by depth; nil until the first list of that depth is complete.
    private var counts: [Int?] = []

    init(text: String, element: DataType, context: EvaluationContext) {
        self.text = text
        bytes = Array(text.utf8)
        self.element = element
        self.context = context
    }

    private func malformed(_ detail: String) -> SQLError {
        SQLError(.invalidTextRepresentation, "malformed array literal: \"\(text)\"", detail: detail)
    }

    private var current: UInt8? { at < bytes.count ? bytes[at] : nil }

    private mutating func skipBlanks() { while let byte = current, Cast.isBlank(byte) { at += 1 } }

    mutating func read() throws(SQLError) -> ArrayValue {
        skipBlanks()
        let bounds = try readBounds()
        guard current == UInt8(ascii: "{") else {
            throw malformed(
                bounds.isEmpty
                    ? "Array value must start with \"{\" or dimension information." : "Array contents must start with \"{\".")
        }
        try list(0)
        skipBlanks()
        if at < bytes.count { throw malformed("Junk after closing right brace.") }
        if values.isEmpty { return ArrayValue(element.withoutModifiers, []) }
        let dimensions = counts.map { ArrayValue.Dimension(count: Int32(clamping: $0 ?? 0)) }
        if bounds.isEmpty { return ArrayValue(element.withoutModifiers, dimensions, values) }
        guard bounds.map(\.count) == dimensions.map(\.count) else {
            throw malformed("Specified array dimensions do not match array contents.")
        }
        return ArrayValue(element.withoutModifiers, bounds, values)
    }

    /// `[1:3][2]…=`
    private mutating func readBounds() throws(SQLError) -> [ArrayValue.Dimension] {
        var bounds: [ArrayValue.Dimension] = []
        while current == UInt8(ascii: "[") {
            if bounds.count == ArrayValue.dimensionsMax { throw ArrayFunctions.tooManyDimensions(bounds.count + 1) }
            at += 1
            var lower: Int32 = 1
            var upper = try number()
            if current == UInt8(ascii: ":") {
                at += 1
                lower = upper
                upper = try number()
            }
            guard current == UInt8(ascii: "]") else { throw malformed("Missing \"]\" after array dimensions.") }
            at += 1
            if upper < lower { throw SQLError(.arraySubscriptError, "upper bound cannot be less than lower bound") }
            let count = Int64(upper) - Int64(lower) + 1
            guard count <= Int64(ArrayValue.elementsMax) else { throw ArrayFunctions.tooLarge }
            bounds.append(ArrayValue.Dimension(lower: lower, count: Int32(count)))
            skipBlanks()
        }
        guard !bounds.isEmpty else { return [] }
        guard current == UInt8(ascii: "=") else { throw malformed("Missing \"=\" after array dimensions.") }
        at += 1
        skipBlanks()
        return bounds
    }

    private mutating func number() throws(SQLError) -> Int32 {
        let start = at
        while let byte = current, byte &- 0x30 < 10 || ((byte == UInt8(ascii: "-") || byte == UInt8(ascii: "+")) && at == start) {
            at += 1
        }
        guard let value = Int32(String(decoding: bytes[start..<at], as: UTF8.self)) else {
            throw malformed("\"[\" must introduce explicitly-specified array dimensions.")
        }
        return value
    }

    /// At `{`; leaves `at` behind its `}`.
    private mutating func list(_ depth: Int) throws(SQLError) {
        guard depth < ArrayValue.dimensionsMax else { throw ArrayFunctions.tooManyDimensions(depth + 1) }
        at += 1
        if counts.count == depth { counts.append(nil) }
        var count = 0
        skipBlanks()
        if current == UInt8(ascii: "}") {
            at += 1
            // A list within a list is not empty.
            if depth > 0 || counts.count > depth + 1 { throw malformed(Self.mismatch) }
            counts[depth] = 0
            return
        }
        while true {
            skipBlanks()
            if current == UInt8(ascii: "{") {
                // Elements and lists do not mix.
                if count == 0, counts[depth] != nil, counts.count == depth + 1 { throw malformed(Self.mismatch) }
                if count > 0, counts.count == depth + 1 { throw malformed(Self.mismatch) }
                try list(depth + 1)
            } else {
                if counts.count > depth + 1 { throw malformed("Unexpected array element.") }
                try item()
            }
            count += 1
            if values.count > ArrayValue.elementsMax { throw ArrayFunctions.tooLarge }
            skipBlanks()
            if current == UInt8(ascii: ",") {
                at += 1
            } else if current == UInt8(ascii: "}") {
                at += 1
                break
            } else {
                throw malformed(current == nil ? "Unexpected end of input." : "Unexpected array element.")
            }
        }
        if let known = counts[depth], known != count { throw malformed(Self.mismatch) }
        counts[depth] = count
    }

    private static let mismatch = "Multidimensional arrays must have sub-arrays with matching dimensions."

    private mutating func item() throws(SQLError) {
        var item: [UInt8] = []
        // Blanks at the end count only where they were escaped or quoted.
        var kept = 0
        var isQuoted = false
        var isPlain = true
        scan: while let byte = current {
            switch byte {
            case UInt8(ascii: "\\"):
                guard at + 1 < bytes.count else { throw malformed("Unexpected end of input.") }
                item.append(bytes[at + 1])
                kept = item.count
                isPlain = false
                at += 2
            case UInt8(ascii: "\""):
                if !isQuoted, kept > 0 { throw malformed("Unexpected array element.") }
                if isQuoted, !isPlain, current != nil, kept > 0 { throw malformed("Unexpected array element.") }
                at += 1
                isQuoted = true
                isPlain = false
                item = []
                while let inner = current, inner != UInt8(ascii: "\"") {
                    if inner == UInt8(ascii: "\\") { at += 1 }
                    guard at < bytes.count else { throw malformed("Unexpected end of input.") }
                    item.append(bytes[at])
                    at += 1
                }
                guard current != nil else { throw malformed("Unexpected end of input.") }
                at += 1
                kept = item.count
            case UInt8(ascii: ","), UInt8(ascii: "}"): break scan
            case UInt8(ascii: "{"): throw malformed("Unexpected \"{\" character.")
            default:
                if Cast.isBlank(byte) {
                    if !isQuoted { item.append(byte) }
                } else {
                    if isQuoted { throw malformed("Unexpected array element.") }
                    item.append(byte)
                    kept = item.count
                }
                at += 1
            }
        }
        item.removeLast(item.count - kept)
        if !isQuoted, item.isEmpty { throw malformed("Unexpected \"\(current.map { String(UnicodeScalar($0)) } ?? "")\" character.") }
        if isPlain, item.count == 4, item.map({ $0 & 0xDF }).elementsEqual("NULL".utf8) {
            values.append(.null)
        } else {
            let text = String(decoding: item, as: UTF8.self)
            values.append(try Value.text(text).cast(to: element, explicit: true, context: context))
        }
    }
}
