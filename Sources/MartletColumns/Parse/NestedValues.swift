internal import MartletCore

/// Arrays and structures from JSON: an array of the elements' forms (arrays within arrays are further dimensions), an
/// object by the fields' names; missing fields are NULL, others are passed over. A string is read in PostgreSQL's form.
extension RowTarget {
    func storeNested(_ text: UnsafeBufferPointer<UInt8>, _ index: Int) throws(FieldFailure) {
        let type = schema.columns[index].type
        let value: Value
        do throws(SQLError) {
            value = try NestedValues.value(JSONNode(text: String(decoding: text, as: UTF8.self)), as: type)
        } catch {
            let isRange = error.state == .numericValueOutOfRange || error.state == .datetimeFieldOverflow
            let isType = error.state == .datatypeMismatch
            throw FieldFailure(
                reason: isType ? .wrongType : isRange ? .outOfRange : .invalidValue, message: shortened(error.message))
        }
        try store(value, index)
    }
}

enum NestedValues {
    static func value(_ node: JSONNode, as type: DataType) throws(SQLError) -> Value {
        if type == .jsonb { return .jsonb(node.text) }
        switch (node, type) {
        case (.null, _): return .null
        case (.array, .array(let element)):
            var values: [Value] = []
            var counts: [Int] = []
            try collect(node, element, 0, &counts, &values)
            if values.isEmpty { return .array(ArrayValue(element.withoutModifiers, [])) }
            return .array(ArrayValue(element.withoutModifiers, counts.map { .init(count: Int32(clamping: $0)) }, values))
        case (.object, .structure(let fields)):
            var values: [Value] = []
            for field in fields { values.append(try node[key: field.name].map { (node) throws(SQLError) in try value(node, as: field.type) } ?? .null) }
            return .structure(
                StructureValue(fields.map { StructureField(name: $0.name, type: $0.type.withoutModifiers) }, values))
        case (.boolean(let flag), .boolean): return .boolean(flag)
        case (.number(let digits), _) where type.isNumeric:
            // A whole number may be written with a fraction of zeros, as at the top.
            if type.isInteger, let whole = Decimal(text: digits), whole.int64 != nil {
                return try Value.numeric(whole).cast(to: type, explicit: true)
            }
            return try Value.text(digits).cast(to: type, explicit: false)
        case (.string(let text), .text): return .text(text)
        case (.string(let text), .bytea):
            var copy = text
            let bytes: [UInt8]? = copy.withUTF8 { encoded in
                withUnsafeTemporaryAllocation(of: UInt8.self, capacity: encoded.count / 4 * 3 + 3) { space in
                    decodeBase64(encoded, into: space.baseAddress!).map { Array(space.prefix($0)) }
                }
            }
            guard let bytes else { throw SQLError(.invalidTextRepresentation, "invalid base64") }
            return .bytea(bytes)
        case (.string, .boolean), (.string, .smallint), (.string, .integer), (.string, .bigint): throw mismatch("a string", type)
        case (.string(let text), _): return try Value.text(text).cast(to: type, explicit: false)
        case (.boolean, _): throw mismatch("a boolean", type)
        case (.number, _): throw mismatch("a number", type)
        case (.array, _): throw mismatch("an array", type)
        case (.object, _): throw mismatch("an object", type)
        }
    }

    private static func mismatch(_ found: String, _ type: DataType) -> SQLError {
        SQLError(.datatypeMismatch, "\(found) is not accepted for type \(type.sqlName)")
    }

    /// Elements in row-major order, and how many each dimension has.
    private static func collect(
        _ node: JSONNode, _ element: DataType, _ depth: Int, _ counts: inout [Int], _ values: inout [Value]
    ) throws(SQLError) {
        guard case .array(let nodes) = node else { return }
        let irregular = SQLError(
            .invalidTextRepresentation, "multidimensional arrays must have sub-arrays with matching dimensions")
        if depth == counts.count {
            guard depth < ArrayValue.dimensionsMax else { throw SQLError(.programLimitExceeded, "an array of too many dimensions") }
            counts.append(nodes.count)
        }
        guard counts[depth] == nodes.count else { throw irregular }
        for inner in nodes {
            if case .array = inner, element != .jsonb {
                try collect(inner, element, depth + 1, &counts, &values)
            } else {
                // Behind a list of lists every element is a list.
                guard counts.count == depth + 1 else { throw irregular }
                values.append(try value(inner, as: element))
            }
        }
    }
}
