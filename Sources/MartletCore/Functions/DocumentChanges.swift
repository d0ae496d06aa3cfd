/// Changes to jsonb documents by path, and questions in the SQL/JSON path language.
package enum DocumentChanges {
    static func evaluate(_ function: ScalarFunction, _ arguments: [Value]) throws(SQLError) -> Value {
        if function == .jsonObject { return try object(arguments) }
        guard case .jsonb(let text) = arguments.first else {
            if function == .jsonSetLax { return .null }
            throw Evaluation.wrongArguments(function, arguments)
        }
        let document = try JSONNode(text: text)
        switch function {
        case .jsonExistsAny: return .boolean(keys(arguments[1]).contains { exists(document, $0) })
        case .jsonExistsAll: return .boolean(keys(arguments[1]).allSatisfy { exists(document, $0) })
        case .jsonDeleteKeys: return .jsonb(try delete(document, Set(keys(arguments[1]))).text)
        case .jsonDeletePath:
            return .jsonb(try delete(document, path: arguments[1]).text)
        case .jsonSet, .jsonInsert:
            guard case .jsonb(let new) = arguments[2] else { throw Evaluation.wrongArguments(function, arguments) }
            var flag: Bool?
            if arguments.count > 3, case .boolean(let given) = arguments[3] { flag = given }
            return .jsonb(try set(document, arguments[1], try JSONNode(text: new), function, flag).text)
        case .jsonSetLax: return try setLax(document, text, arguments)
        default: return try path(function, document, arguments)
        }
    }

    private static func keys(_ value: Value) -> [String] {
        guard case .array(let array) = value else { return [] }
        return array.values.compactMap { if case .text(let text) = $0 { text } else { nil } }
    }

    private static func exists(_ document: JSONNode, _ key: String) -> Bool {
        switch document {
        case .array(let elements): elements.contains { $0.isString(key) }
        case .object: document[key: key] != nil
        case .null, .boolean, .number, .string: document.isString(key)
        }
    }

    private static func delete(_ document: JSONNode, _ keys: Set<String>) throws(SQLError) -> JSONNode {
        switch document {
        case .object(let members): return .object(members.filter { !keys.contains($0.key) })
        case .array(let elements):
            return .array(elements.filter { if case .string(let value) = $0 { !keys.contains(value) } else { true } })
        case .null, .boolean, .number, .string: throw SQLError(.invalidParameterValue, "cannot delete from scalar")
        }
    }

    // MARK: - Set, insert, delete by path

    private enum Change {
        case set(JSONNode, createsMissing: Bool)
        case insert(JSONNode, isBehind: Bool)
        case delete
    }

    private static func set(
        _ document: JSONNode, _ path: Value, _ new: JSONNode, _ function: ScalarFunction, _ flag: Bool?
    ) throws(SQLError) -> JSONNode {
        try checkPath(path)
        guard document.isContainer else { throw SQLError(.invalidParameterValue, "cannot set path in scalar") }
        if document.isEmpty, function == .jsonSet, flag == false { return document }
        return try change(
            document, path,
            function == .jsonSet ? .set(new, createsMissing: flag ?? true) : .insert(new, isBehind: flag ?? false))
    }

    /// NULL for a value is treated as the last argument says.
    private static func setLax(_ document: JSONNode, _ text: String, _ arguments: [Value]) throws(SQLError) -> Value {
        if arguments[1].isNull || (arguments.count > 3 && arguments[3].isNull) { return .null }
        var flag: Bool?
        if arguments.count > 3, case .boolean(let given) = arguments[3] { flag = given }
        if case .jsonb(let new) = arguments[2] {
            return .jsonb(try set(document, arguments[1], try JSONNode(text: new), .jsonSet, flag).text)
        }
        var treatment = "use_json_null"
        if arguments.count > 4 {
            guard case .text(let given) = arguments[4] else {
                throw SQLError(
                    .invalidParameterValue,
                    "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"")
            }
            treatment = given
        }
        switch treatment {
        case "use_json_null": return .jsonb(try set(document, arguments[1], .null, .jsonSet, flag).text)
        case "return_target": return .jsonb(text)
        case "delete_key":
            return .jsonb(try delete(document, path: arguments[1]).text)
        case "raise_exception":
            throw SQLError(
                .nullValueNotAllowed, "JSON value must not be null",
                detail: "Exception was raised because null_value_treatment is \"raise_exception\".")
        default:
            throw SQLError(
                .invalidParameterValue,
                "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"")
        }
    }

    private static func checkPath(_ path: Value) throws(SQLError) {
        if case .array(let array) = path, array.dimensions.count > 1 {
            throw SQLError(.arraySubscriptError, "wrong number of array subscripts")
        }
    }

    private static func delete(_ document: JSONNode, path: Value) throws(SQLError) -> JSONNode {
        try checkPath(path)
        switch document {
        case .array(let elements): if elements.isEmpty { return document }
        case .object(let members): if members.isEmpty { return document }
        case .null, .boolean, .number, .string: throw SQLError(.invalidParameterValue, "cannot delete path in scalar")
        }
        return try change(document, path, .delete)
    }

    private static func change(_ document: JSONNode, _ path: Value, _ change: Change) throws(SQLError) -> JSONNode {
        guard case .array(let array) = path else { return document }
        return try apply(document, array.values, 0, change)
    }

    private static func apply(_ node: JSONNode, _ path: [Value], _ level: Int, _ change: Change) throws(SQLError) -> JSONNode {
        guard level < path.count else { return node }
        guard case .text(let step) = path[level] else {
            throw SQLError(.nullValueNotAllowed, "path element at position \(level + 1) is null")
        }
        let isLast = level == path.count - 1
        switch node {
        case .object(var members):
            if let at = members.firstIndex(where: { $0.key.utf8.elementsEqual(step.utf8) }) {
                guard isLast else {
                    members[at] = JSONNode.Member(key: step, value: try apply(members[at].value, path, level + 1, change))
                    return .object(members)
                }
                switch change {
                case .set(let new, _): members[at] = JSONNode.Member(key: step, value: new)
                case .delete: members.remove(at: at)
                case .insert:
                    throw SQLError(
                        .invalidParameterValue, "cannot replace existing key",
                        hint: "Try using the function jsonb_set to replace key value.")
                }
                return .object(members)
            }
            guard isLast else { return node }
            switch change {
            case .set(let new, createsMissing: true), .insert(let new, _):
                return JSONNode.object(of: members + [JSONNode.Member(key: step, value: new)])
            case .set, .delete: return node
            }
        case .array(var elements):
            guard let given = Int32(step) else {
                throw SQLError(
                    .invalidTextRepresentation, "path element at position \(level + 1) is not an integer: \"\(step)\"")
            }
            // nil: before the first.
            var index: Int? = Int(given)
            if given < 0 { index = elements.count + Int(given) >= 0 ? elements.count + Int(given) : nil }
            if isLast, elements.isEmpty || index == nil {
                switch change {
                case .set(let new, createsMissing: true), .insert(let new, _): elements.insert(new, at: 0)
                case .set, .delete: break
                }
                return .array(elements)
            }
            guard let index else { return node }
            if index >= elements.count {
                guard isLast else { return node }
                switch change {
                case .set(let new, createsMissing: true), .insert(let new, _): elements.append(new)
                case .set, .delete: break
                }
                return .array(elements)
            }
            guard isLast else {
                elements[index] = try apply(elements[index], path, level + 1, change)
                return .array(elements)
            }
            switch change {
            case .set(let new, _): elements[index] = new
            case .insert(let new, let isBehind): elements.insert(new, at: isBehind ? index + 1 : index)
            case .delete: elements.remove(at: index)
            }
            return .array(elements)
        case .null, .boolean, .number, .string: return node
        }
    }

    /// jsonb_object: keys and values as two arrays, or one array of both in turn.
    private static func object(_ arguments: [Value]) throws(SQLError) -> Value {
        guard case .array(let first) = arguments[0] else { throw Evaluation.wrongArguments(.jsonObject, arguments) }
        var keys: [Value] = []
        var values: [Value] = []
        if arguments.count == 2 {
            guard case .array(let second) = arguments[1] else { throw Evaluation.wrongArguments(.jsonObject, arguments) }
            guard first.dimensions.count <= 1, second.dimensions.count == first.dimensions.count else {
                throw SQLError(.arraySubscriptError, "wrong number of array subscripts")
            }
            guard first.values.count == second.values.count else {
                throw SQLError(.arraySubscriptError, "mismatched array dimensions")
            }
            (keys, values) = (first.values, second.values)
        } else {
            switch first.dimensions.count {
            case 0: break
            case 1:
                guard first.values.count % 2 == 0 else {
                    throw SQLError(.arraySubscriptError, "array must have even number of elements")
                }
            case 2:
                guard first.dimensions[1].count == 2 else { throw SQLError(.arraySubscriptError, "array must have two columns") }
            default: throw SQLError(.arraySubscriptError, "wrong number of array subscripts")
            }
            for at in stride(from: 0, to: first.values.count, by: 2) {
                keys.append(first.values[at])
                values.append(first.values[at + 1])
            }
        }
        var members: [JSONNode.Member] = []
        for (key, value) in zip(keys, values) {
            guard case .text(let name) = key else {
                throw SQLError(.nullValueNotAllowed, "null value not allowed for object key")
            }
            let node: JSONNode = if case .text(let text) = value { .string(text) } else { .null }
            members.append(JSONNode.Member(key: name, value: node))
        }
        return .jsonb(JSONNode.object(of: members).text)
    }

    // MARK: - Paths

    private static func path(_ function: ScalarFunction, _ document: JSONNode, _ arguments: [Value]) throws(SQLError) -> Value {
        guard arguments.count >= 2, case .text(let text) = arguments[1] else {
            throw Evaluation.wrongArguments(function, arguments)
        }
        let path = try JSONPath(text)
        // The operators know no variables, and take each for null.
        var isSilent = function == .jsonPathExistsSilently || function == .jsonPathMatchSilently
        var variables: JSONNode? = isSilent ? nil : .object([])
        if arguments.count > 2, case .jsonb(let given) = arguments[2] {
            let object = try JSONNode(text: given)
            variables = object
            guard case .object = object else {
                throw SQLError(
                    .invalidParameterValue, "\"vars\" argument is not an object",
                    detail: "Jsonpath parameters should be encoded as key-value pairs of \"vars\" object.")
            }
        }
        if arguments.count > 3, case .boolean(let given) = arguments[3] { isSilent = given }
        let found: [JSONNode]
        do {
            found = try path.query(document, variables: variables)
        } catch {
            // Data is forgiven, the path is not.
            if isSilent, error.state.code.hasPrefix("22") { return function == .jsonPathQueryArray ? .jsonb("[]") : .null }
            throw error
        }
        switch function {
        case .jsonPathExists, .jsonPathExistsSilently: return .boolean(!found.isEmpty)
        case .jsonPathQueryFirst: return found.first.map { .jsonb($0.text) } ?? .null
        case .jsonPathQueryArray: return .jsonb(JSONNode.array(found).text)
        default:
            if found.count == 1 {
                if case .boolean(let answer) = found[0] { return .boolean(answer) }
                if case .null = found[0] { return .null }
            }
            if isSilent { return .null }
            throw SQLError(.singletonSQLJSONItemRequired, "single boolean result is expected")
        }
    }

    /// jsonb_path_query: every item found.
    package static func allItems(_ document: Value, path: String) throws(SQLError) -> [Value] {
        guard case .jsonb(let text) = document else { return [] }
        return try JSONPath(path).query(JSONNode(text: text)).map { .jsonb($0.text) }
    }

    // MARK: - For set-returning functions

    /// jsonb_array_elements: the elements of an array; 22023 for anything else.
    package static func elements(_ document: Value) throws(SQLError) -> [Value] {
        guard case .jsonb(let text) = document else { return [] }
        switch try JSONNode(text: text) {
        case .array(let elements): return elements.map { .jsonb($0.text) }
        case .object: throw SQLError(.invalidParameterValue, "cannot extract elements from an object")
        case .null, .boolean, .number, .string: throw SQLError(.invalidParameterValue, "cannot extract elements from a scalar")
        }
    }

    /// jsonb_array_elements_text: strings without quotes, NULL for JSON's null.
    package static func elementTexts(_ document: Value) throws(SQLError) -> [Value] {
        try elements(document).map { (element) throws(SQLError) in try Documents.unquoted(element) }
    }

    /// jsonb_each: keys and values of an object in their order; 22023 for anything else.
    package static func members(_ document: Value) throws(SQLError) -> [(key: Value, value: Value)] {
        guard case .jsonb(let text) = document else { return [] }
        guard case .object(let members) = try JSONNode(text: text) else {
            throw SQLError(.invalidParameterValue, "cannot call jsonb_each on a non-object")
        }
        return members.map { (.text($0.key), .jsonb($0.value.text)) }
    }

    /// jsonb_each_text.
    package static func memberTexts(_ document: Value) throws(SQLError) -> [(key: Value, value: Value)] {
        var rows: [(key: Value, value: Value)] = []
        for member in try members(document) { rows.append((member.key, try Documents.unquoted(member.value))) }
        return rows
    }
}

extension JSONNode {
    /// An array or an object without anything in it.
    fileprivate var isEmpty: Bool {
        switch self {
        case .array(let elements): elements.isEmpty
        case .object(let members): members.isEmpty
        case .null, .boolean, .number, .string: false
        }
    }

    fileprivate func isString(_ wanted: String) -> Bool {
        if case .string(let value) = self { value.utf8.elementsEqual(wanted.utf8) } else { false }
    }
}
