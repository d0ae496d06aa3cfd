/// Documents as composite values: jsonb_populate_record, jsonb_to_record and their kin; and IS JSON.
enum Records {
    static func evaluate(
        _ function: ScalarFunction, _ arguments: [Value], _ result: DataType, _ context: EvaluationContext
    ) throws(SQLError) -> Value {
        if function == .isJSON {
            guard case .text(let kind) = arguments[1] else { throw Evaluation.wrongArguments(function, arguments) }
            let text: String
            switch arguments[0] {
            case .text(let given), .jsonb(let given): text = given
            default: throw Evaluation.wrongArguments(function, arguments)
            }
            guard let document = try? JSONNode(text: text) else { return .boolean(false) }
            return .boolean(document.isKind(kind))
        }
        guard arguments.count == 2 else { throw Evaluation.wrongArguments(function, arguments) }
        guard case .jsonb(let text) = arguments[1] else { return function == .jsonRecord ? arguments[0] : .null }
        let document = try JSONNode(text: text)
        if case .structure(let fields) = result { return try record(document, fields, arguments[0], context) }
        guard case .structure(let fields)? = result.element else { throw Evaluation.wrongArguments(function, arguments) }
        guard case .array(let elements) = document else {
            throw SQLError(.invalidParameterValue, "cannot call jsonb_populate_recordset on \(document.kindWithArticle)")
        }
        var rows: [Value] = []
        for element in elements { rows.append(try record(element, fields, arguments[0], context)) }
        return .array(ArrayValue(.structure(fields), rows))
    }

    /// Members by the fields' names; what the document lacks is the base's, or NULL.
    private static func record(
        _ document: JSONNode, _ fields: [StructureField], _ base: Value, _ context: EvaluationContext
    ) throws(SQLError) -> Value {
        guard case .object = document else {
            throw SQLError(.invalidParameterValue, "cannot call populate_composite on \(document.kindWithArticle)")
        }
        var values: [Value] = []
        for (at, field) in fields.enumerated() {
            if let member = document[key: field.name] {
                values.append(try value(member, field.type, context))
            } else if case .structure(let given) = base, at < given.values.count {
                values.append(given.values[at])
            } else {
                values.append(.null)
            }
        }
        return .structure(StructureValue(fields, values))
    }

    private static func value(_ node: JSONNode, _ type: DataType, _ context: EvaluationContext) throws(SQLError) -> Value {
        switch (node, type) {
        case (.null, _): return .null
        case (_, .jsonb): return .jsonb(node.text)
        case (.object, .structure(let fields)): return try record(node, fields, .null, context)
        case (.array, .array(let element)):
            // Nested lists are further dimensions.
            var leaves: [Value] = []
            let dimensions = try shape(node, element, &leaves, context)
            return .array(ArrayValue(element.withoutModifiers, dimensions, leaves))
        default: return try Value.text(node.unquoted ?? "").cast(to: type, context: context)
        }
    }

    private static func shape(
        _ node: JSONNode, _ element: DataType, _ leaves: inout [Value], _ context: EvaluationContext
    ) throws(SQLError) -> [ArrayValue.Dimension] {
        guard case .array(let parts) = node else { return [] }
        let malformed = SQLError(
            .invalidTextRepresentation, "malformed JSON array", detail: "Multidimensional arrays must have sub-arrays with matching dimensions.")
        guard !parts.isEmpty else { return [] }
        var inner: [ArrayValue.Dimension]?
        for part in parts {
            var own: [ArrayValue.Dimension] = []
            if case .array = part, element != .jsonb {
                own = try shape(part, element, &leaves, context)
                guard !own.isEmpty else { throw malformed }
            } else {
                leaves.append(try value(part, element, context))
            }
            guard inner == nil || inner == own else { throw malformed }
            inner = own
        }
        let dimensions = [ArrayValue.Dimension(count: Int32(clamping: parts.count))] + (inner ?? [])
        guard dimensions.count <= ArrayValue.dimensionsMax else { throw malformed }
        return dimensions
    }
}

extension JSONNode {
    /// What IS JSON asks for: value, object, array, scalar.
    fileprivate func isKind(_ kind: String) -> Bool {
        switch (kind, self) {
        case ("object", .object), ("array", .array), ("value", _): true
        case ("scalar", .object), ("scalar", .array): false
        default: kind == "scalar"
        }
    }

    fileprivate var kindWithArticle: String {
        switch self {
        case .object: "an object"
        case .array: "an array"
        case .null, .boolean, .number, .string: "a scalar"
        }
    }
}
