/// Functions and operators of jsonb.
package enum Documents {
    static func evaluate(
        _ function: ScalarFunction, _ arguments: [Value], _ context: EvaluationContext
    ) throws(SQLError) -> Value {
        switch function {
        case .toJsonb:
            guard let first = arguments.first else { throw Evaluation.wrongArguments(function, arguments) }
            return .jsonb(try node(of: first, context).text)
        case .jsonBuildArray:
            return .jsonb(JSONNode.array(try arguments.map { value throws(SQLError) in try node(of: value, context) }).text)
        case .jsonBuildObject: return try buildObject(arguments, context)
        default: break
        }
        guard case .jsonb(let text) = arguments.first else { throw Evaluation.wrongArguments(function, arguments) }
        let document = try JSONNode(text: text)
        let second = arguments.count > 1 ? arguments[1] : .null
        switch function {
        case .jsonTypeof: return .text(document.typeName)
        case .jsonPretty: return .text(document.pretty)
        case .jsonStripNulls: return .jsonb(stripNulls(document).text)
        case .jsonArrayLength:
            switch document {
            case .array(let elements): return .integer(Int32(clamping: elements.count))
            case .object: throw SQLError(.invalidParameterValue, "cannot get array length of a non-array")
            case .null, .boolean, .number, .string:
                throw SQLError(.invalidParameterValue, "cannot get array length of a scalar")
            }
        case .jsonField: return jsonb(step(document, second))
        case .jsonFieldText: return string(step(document, second))
        case .jsonPath: return jsonb(path(second).flatMap { document.follow($0) })
        case .jsonPathText: return string(path(second).flatMap { document.follow($0) })
        case .jsonExtractPath: return jsonb(document.follow(try steps(function, arguments)))
        case .jsonExtractPathText: return string(document.follow(try steps(function, arguments)))
        case .jsonExists: return .boolean(exists(document, second))
        case .jsonDelete: return .jsonb(try delete(document, second).text)
        default: break
        }
        guard case .jsonb(let otherText) = second else { throw Evaluation.wrongArguments(function, arguments) }
        let other = try JSONNode(text: otherText)
        switch function {
        case .jsonContains: return .boolean(containsAtTop(document, other))
        case .jsonContainedIn: return .boolean(containsAtTop(other, document))
        case .jsonConcatenate: return .jsonb(concatenate(document, other).text)
        default: throw Evaluation.wrongArguments(function, arguments)
        }
    }

    private static func jsonb(_ node: JSONNode?) -> Value { node.map { .jsonb($0.text) } ?? .null }

    /// A document as `->>` gives it.
    static func unquoted(_ document: Value) throws(SQLError) -> Value {
        guard case .jsonb(let text) = document else { return .null }
        return string(try JSONNode(text: text))
    }

    private static func string(_ node: JSONNode?) -> Value { (node?.unquoted).map { .text($0) } ?? .null }

    // MARK: - Looking

    /// `->`: a member by its key or an element by its index; a scalar counts as an array of itself.
    private static func step(_ document: JSONNode, _ selector: Value) -> JSONNode? {
        switch selector {
        case .text(let key): return document[key: key]
        case .integer(let index):
            if case .object = document { return nil }
            return document.isContainer ? document[index: Int(index)] : JSONNode.array([document])[index: Int(index)]
        default: return nil
        }
    }

    private static func steps(_ function: ScalarFunction, _ arguments: [Value]) throws(SQLError) -> [String] {
        try arguments.dropFirst().map { argument throws(SQLError) in
            guard case .text(let step) = argument else { throw Evaluation.wrongArguments(function, arguments) }
            return step
        }
    }

    /// The steps of a path; nil where one is NULL, which leads nowhere.
    static func path(_ value: Value) -> [String]? {
        guard case .array(let array) = value else { return nil }
        var steps: [String] = []
        for step in array.values {
            guard case .text(let text) = step else { return nil }
            steps.append(text)
        }
        return steps
    }

    private static func exists(_ document: JSONNode, _ key: Value) -> Bool {
        guard case .text(let wanted) = key else { return false }
        func isWanted(_ node: JSONNode) -> Bool {
            if case .string(let value) = node { value.utf8.elementsEqual(wanted.utf8) } else { false }
        }
        if case .array(let elements) = document { return elements.contains(where: isWanted) }
        return document[key: wanted] != nil || isWanted(document)
    }

    /// At the top an array may contain a bare scalar.
    private static func containsAtTop(_ document: JSONNode, _ other: JSONNode) -> Bool {
        if case .array = document, !other.isContainer { return document.contains(.array([other])) }
        return document.contains(other)
    }

    // MARK: - Changing

    /// Objects are merged; otherwise both sides become arrays that are joined.
    private static func concatenate(_ left: JSONNode, _ right: JSONNode) -> JSONNode {
        if case .object(let a) = left, case .object(let b) = right { return JSONNode.object(of: a + b) }
        func elements(_ node: JSONNode) -> [JSONNode] {
            if case .array(let elements) = node { elements } else { [node] }
        }
        return .array(elements(left) + elements(right))
    }

    private static func delete(_ document: JSONNode, _ selector: Value) throws(SQLError) -> JSONNode {
        if !document.isContainer { throw SQLError(.invalidParameterValue, "cannot delete from scalar") }
        switch (document, selector) {
        case (.object(let members), .text(let key)):
            return .object(members.filter { !$0.key.utf8.elementsEqual(key.utf8) })
        case (.array(let elements), .text(let key)):
            return .array(
                elements.filter { if case .string(let value) = $0 { !value.utf8.elementsEqual(key.utf8) } else { true } })
        case (.array(var elements), .integer(let index)):
            let position = index < 0 ? elements.count + Int(index) : Int(index)
            if position >= 0, position < elements.count { elements.remove(at: position) }
            return .array(elements)
        default: throw SQLError(.invalidParameterValue, "cannot delete from object using integer index")
        }
    }

    private static func stripNulls(_ node: JSONNode) -> JSONNode {
        switch node {
        case .object(let members):
            var kept: [JSONNode.Member] = []
            for member in members {
                if case .null = member.value { continue }
                kept.append(JSONNode.Member(key: member.key, value: stripNulls(member.value)))
            }
            return .object(kept)
        case .array(let elements): return .array(elements.map(stripNulls))
        case .null, .boolean, .number, .string: return node
        }
    }

    // MARK: - Making

    private static func buildObject(_ arguments: [Value], _ context: EvaluationContext) throws(SQLError) -> Value {
        guard arguments.count % 2 == 0 else {
            throw SQLError(
                .invalidParameterValue, "argument list must have even number of elements",
                hint: "The arguments of jsonb_build_object() must consist of alternating keys and values.")
        }
        var members: [JSONNode.Member] = []
        for index in stride(from: 0, to: arguments.count, by: 2) {
            if arguments[index].isNull {
                throw SQLError(.invalidParameterValue, "argument \(index + 1): key must not be null")
            }
            if case .jsonb(let text) = arguments[index], text.hasPrefix("{") || text.hasPrefix("[") {
                throw SQLError(
                    .invalidParameterValue, "key value must be scalar, not array, composite, or json")
            }
            let key: String
            switch arguments[index] {
            case .boolean(let value): key = value ? "true" : "false"
            case .jsonb(let text): key = try JSONNode(text: text).unquoted ?? "null"
            default: key = arguments[index].text(in: context.zone)
            }
            members.append(JSONNode.Member(key: key, value: try node(of: arguments[index + 1], context)))
        }
        return .jsonb(JSONNode.object(of: members).text)
    }

    /// `to_jsonb`: numbers as numbers, NaN and infinities as strings, points in time in ISO form with `T`.
    package static func node(of value: Value, _ context: EvaluationContext) throws(SQLError) -> JSONNode {
        switch value {
        case .null: return .null
        case .boolean(let flag): return .boolean(flag)
        case .smallint, .integer, .bigint: return .number(value.text)
        case .real(let number): return number.isFinite ? try JSONNode(text: value.text) : .string(value.text)
        case .double(let number): return number.isFinite ? try JSONNode(text: value.text) : .string(value.text)
        case .numeric(let number): return number.isSpecial ? .string(number.text) : .number(number.text)
        case .jsonb(let text): return try JSONNode(text: text)
        case .timestamp: return .string(isoForm(value.text))
        case .timestamptz(let micros):
            var text = isoForm(value.text(in: context.zone))
            // RFC 3339 wants the offset's minutes.
            let offset = context.zone.offset(at: micros)
            if micros != .max, micros != .min, offset % 3600 == 0 {
                let suffix = text.hasSuffix(" BC") ? " BC" : ""
                text = String(text.dropLast(suffix.count)) + ":00" + suffix
            }
            return .string(text)
        case .array(let array): return try array.nested(of: JSONNode.array) { element throws(SQLError) in
            try node(of: element, context)
        }
        case .structure(let structure):
            var members: [JSONNode.Member] = []
            for (field, value) in zip(structure.fields, structure.values) {
                members.append(JSONNode.Member(key: field.name, value: try node(of: value, context)))
            }
            return JSONNode.object(of: members)
        case .text, .bytea, .date, .time, .interval, .uuid: return .string(value.text(in: context.zone))
        }
    }

    private static func isoForm(_ text: String) -> String {
        guard let space = text.firstIndex(of: " ") else { return text }
        return text[..<space] + "T" + text[text.index(after: space)...]
    }
}
