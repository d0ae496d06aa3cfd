/// Functions that give several rows, as the arrays of what they give: FROM and the select list take those apart.
enum SetFunctions {
    /// Longer series are 54000: an array of them is built before the first row leaves.
    static let elementsMax = 20_000_000

    static func evaluate(
        _ function: ScalarFunction, _ arguments: [Value], _ result: DataType, _ context: EvaluationContext
    ) throws(SQLError) -> Value {
        switch function {
        case .generateSeries: return .array(ArrayValue(result.element ?? .bigint, try series(arguments, context)))
        case .generateSubscripts:
            guard case .array(let array) = arguments[0], case .integer(let dimension) = arguments[1] else { break }
            guard dimension >= 1, Int(dimension) <= array.dimensions.count else { return .array(ArrayValue(.integer, [])) }
            let bounds = array.dimensions[Int(dimension) - 1]
            return .array(ArrayValue(.integer, bounds.count == 0 ? [] : (bounds.lower...bounds.upper).map { .integer($0) }))
        case .oneRow:
            guard case .bigint(let count) = arguments[0] else { break }
            if count > 1 {
                throw SQLError(SQLState("21000"), "more than one row returned by a subquery used as an expression")
            }
            return .boolean(count == 1)
        case .jsonElements, .jsonElementsText, .jsonObjectKeys, .jsonObjectValues, .jsonObjectValuesText:
            return try members(function, arguments)
        default: break
        }
        throw Evaluation.wrongArguments(function, arguments)
    }

    private static func series(_ arguments: [Value], _ context: EvaluationContext) throws(SQLError) -> [Value] {
        var series = try ValueSeries(arguments, context)
        var values: [Value] = []
        while let value = try series.next() {
            guard values.count < elementsMax else {
                throw SQLError(.programLimitExceeded, "a series has more than \(elementsMax) elements")
            }
            values.append(value)
        }
        return values
    }

    // MARK: Documents

    private static func members(_ function: ScalarFunction, _ arguments: [Value]) throws(SQLError) -> Value {
        guard case .jsonb(let text) = arguments[0] else { throw Evaluation.wrongArguments(function, arguments) }
        let document = try JSONNode(text: text)
        func texts(_ nodes: [JSONNode]) -> Value {
            .array(ArrayValue(.text, nodes.map { $0.unquoted.map { .text($0) } ?? .null }))
        }
        func documents(_ nodes: [JSONNode]) -> Value { .array(ArrayValue(.jsonb, nodes.map { .jsonb($0.text) })) }
        if function == .jsonElements || function == .jsonElementsText {
            guard case .array(let elements) = document else {
                let kind = if case .object = document { "an object" } else { "a scalar" }
                throw SQLError(.invalidParameterValue, "cannot extract elements from \(kind)")
            }
            return function == .jsonElements ? documents(elements) : texts(elements)
        }
        guard case .object(let members) = document else {
            let kind = if case .array = document { "an array" } else { "a scalar" }
            throw SQLError(
                .invalidParameterValue,
                function == .jsonObjectKeys ? "cannot call jsonb_object_keys on \(kind)" : "cannot deconstruct \(kind)")
        }
        switch function {
        case .jsonObjectKeys: return .array(ArrayValue(.text, members.map { .text($0.key) }))
        case .jsonObjectValues: return documents(members.map(\.value))
        default: return texts(members.map(\.value))
        }
    }
}

extension OverloadTable.Builder {
    mutating func addSets() {
        let matches = DataType.array(.structure([StructureField(name: "regexp_matches", type: .array(.text))]))
        add(.regexpMatches, "regexp_matches", taking: [.text, .text], giving: matches)
        add(.regexpMatches, "regexp_matches", taking: [.text, .text, .text], giving: matches)
        let name = "generate_series"
        for type in [DataType.integer, .bigint, .plainNumeric] {
            add(.generateSeries, name, taking: [type, type], giving: .array(type))
            add(.generateSeries, name, taking: [type, type, type], giving: .array(type))
        }
        add(.generateSeries, name, taking: [.timestamp, .timestamp, .interval], giving: .array(.timestamp))
        add(.generateSeries, name, taking: [.timestamptz, .timestamptz, .interval], giving: .array(.timestamptz), .stable)
        add(.generateSubscripts, ["generate_subscripts"], [.commonArray, .exact(.integer)], .exact(.array(.integer)))
        add(.jsonElements, "jsonb_array_elements", "json_array_elements", taking: [.jsonb], giving: .array(.jsonb))
        add(.jsonElementsText, "jsonb_array_elements_text", "json_array_elements_text", taking: [.jsonb], giving: .array(.text))
        add(.jsonObjectKeys, "jsonb_object_keys", "json_object_keys", taking: [.jsonb], giving: .array(.text))
    }
}

extension ScalarFunction {
    /// Functions whose array stands for rows.
    package static let setReturning: Set<String> = [
        "generate_series", "generate_subscripts", "jsonb_array_elements", "json_array_elements", "jsonb_array_elements_text",
        "json_array_elements_text", "jsonb_object_keys", "json_object_keys", "regexp_matches",
    ]
}
