/// A composite value: one value per field, each NULL or of the field's type.
package struct StructureValue: Hashable, Sendable {
    package let fields: [StructureField]
    package let values: [Value]

    package init(_ fields: [StructureField], _ values: [Value]) {
        self.fields = fields
        self.values = values
    }

    package static func == (left: StructureValue, right: StructureValue) -> Bool { left.values == right.values }

    package func hash(into hasher: inout Hasher) { hasher.combine(values) }

    /// Field by field, NULL last.
    package static func compare(_ left: StructureValue, _ right: StructureValue) -> Int {
        for (a, b) in zip(left.values, right.values) {
            let order = Value.compare(a, b)
            if order != 0 { return order }
        }
        return left.values.count - right.values.count
    }

    func cast(to fields: [StructureField], _ context: EvaluationContext) throws(SQLError) -> StructureValue {
        guard fields.count == values.count else {
            throw SQLError(.cannotCoerce, "cannot cast type \(DataType.structure(self.fields).sqlName) to \(DataType.structure(fields).sqlName)")
        }
        var converted: [Value] = []
        for (field, value) in zip(fields, values) {
            converted.append(try value.cast(to: field.type, explicit: true, context: context))
        }
        return StructureValue(fields.map { StructureField(name: $0.name, type: $0.type.withoutModifiers) }, converted)
    }

    // MARK: - Text

    /// PostgreSQL's record_out: `(1,"a b",)`, NULL being nothing.
    package func text(in zone: TimeZone) -> String {
        var output: [UInt8] = [UInt8(ascii: "(")]
        for (at, value) in values.enumerated() {
            if at > 0 { output.append(UInt8(ascii: ",")) }
            if value.isNull { continue }
            let text = Array(value.text(in: zone).utf8)
            guard text.isEmpty || text.contains(where: { "\"\\(),".utf8.contains($0) || Cast.isBlank($0) }) else {
                output += text
                continue
            }
            output.append(UInt8(ascii: "\""))
            for byte in text {
                if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { output.append(byte) }
                output.append(byte)
            }
            output.append(UInt8(ascii: "\""))
        }
        output.append(UInt8(ascii: ")"))
        return String(decoding: output, as: UTF8.self)
    }

    /// PostgreSQL's record_in.
    package init(text: String, fields: [StructureField], context: EvaluationContext) throws(SQLError) {
        let bytes = Array(text.utf8)
        func malformed(_ detail: String) -> SQLError {
            SQLError(.invalidTextRepresentation, "malformed record literal: \"\(text)\"", detail: detail)
        }
        var at = 0
        while at < bytes.count, Cast.isBlank(bytes[at]) { at += 1 }
        guard at < bytes.count, bytes[at] == UInt8(ascii: "(") else { throw malformed("Missing left parenthesis.") }
        at += 1
        var values: [Value] = []
        for (number, field) in fields.enumerated() {
            if number > 0 {
                guard at < bytes.count, bytes[at] == UInt8(ascii: ",") else { throw malformed("Too few columns.") }
                at += 1
            }
            var item: [UInt8] = []
            var isNull = true
            var isInside = false
            while true {
                guard at < bytes.count else { throw malformed("Unexpected end of input.") }
                let byte = bytes[at]
                if !isInside, byte == UInt8(ascii: ",") || byte == UInt8(ascii: ")") { break }
                isNull = false
                at += 1
                if byte == UInt8(ascii: "\\") {
                    guard at < bytes.count else { throw malformed("Unexpected end of input.") }
                    item.append(bytes[at])
                    at += 1
                } else if byte == UInt8(ascii: "\"") {
                    if isInside, at < bytes.count, bytes[at] == byte {
                        item.append(byte)
                        at += 1
                    } else {
                        isInside.toggle()
                    }
                } else {
                    item.append(byte)
                }
            }
            let value = isNull ? Value.null : Value.text(String(decoding: item, as: UTF8.self))
            values.append(try value.cast(to: field.type, explicit: true, context: context))
        }
        if at < bytes.count, bytes[at] == UInt8(ascii: ",") { throw malformed("Too many columns.") }
        guard at < bytes.count, bytes[at] == UInt8(ascii: ")") else { throw malformed("Unexpected end of input.") }
        at += 1
        while at < bytes.count, Cast.isBlank(bytes[at]) { at += 1 }
        if at < bytes.count { throw malformed("Junk after right parenthesis.") }
        self.init(fields, values)
    }
}
