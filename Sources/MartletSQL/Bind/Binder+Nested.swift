internal import MartletCore

/// Arrays and composite values.
extension Binder {
    @inline(never)
    mutating func bindNested(_ syntax: ExpressionSyntax, _ block: Block) throws(SQLError) -> Bound {
        switch syntax.kind {
        case .row(let items): return try row(items, at: syntax.position, block)
        case .array(let items): return try array(items, at: syntax.position, block)
        case .subscripted(let operand, let subscripts): return try subscripted(operand, subscripts, at: syntax.position, block)
        case .field(let operand, let name): return try field(operand, name, block)
        case .quantified(let name, let operand, let array, let isAll):
            return try quantified(name, operand, array, isAll: isAll, at: syntax.position, block)
        default: throw .notSupported("this expression", at: syntax.position)
        }
    }

    /// `T[]` and `STRUCT<…>`.
    func nestedType(_ syntax: TypeSyntax) throws(SQLError) -> DataType {
        var inner = syntax
        inner.isArray = false
        let type: DataType
        if let fields = syntax.fields {
            var made: [StructureField] = []
            for field in fields {
                if made.contains(where: { $0.name == field.name.text }) {
                    throw SQLError(.duplicateColumn, "field \"\(field.name.text)\" specified more than once", at: field.name.position)
                }
                made.append(StructureField(name: field.name.text, type: try dataType(field.type)))
            }
            type = .structure(made)
        } else {
            type = try dataType(inner)
        }
        return syntax.isArray ? .array(type) : type
    }

    // MARK: Constructors

    private mutating func row(_ items: [ExpressionSyntax], at position: Int, _ block: Block) throws(SQLError) -> Bound {
        var fields: [Expression] = []
        var given: [Bound] = []
        var size = 1
        for item in items {
            let bound = try bind(item, block)
            size += bound.size
            given.append(bound)
            fields.append(bound.isUntyped ? try coerce(bound, to: .text, at: item.position).expression : bound.expression)
        }
        var row = try folded(.call(.makeRow, fields, .record(fields.map(\.type))), size: size, at: position)
        row.items = given
        return row
    }

    /// ROW(…) as a composite type: each item by itself, so that untyped literals take the fields' types.
    func coerceItems(
        _ items: [Bound], to type: DataType, at position: Int, context: Cast.Context
    ) throws(SQLError) -> Bound {
        guard case .structure(let fields) = type else { return Bound(.literal(.null, type)) }
        var parts: [Expression] = []
        var size = 1
        for (item, field) in zip(items, fields) {
            let converted = try coerce(item, to: field.type, at: position, context: context)
            size += converted.size
            parts.append(converted.expression)
        }
        return try folded(.call(.makeRow, parts, type), size: size, at: position)
    }

    /// Whether ROW(…)'s items each may become what the composite type has in their place.
    func itemsFit(_ items: [Bound], _ type: DataType, _ context: Cast.Context) -> Bool {
        guard case .structure(let fields) = type, fields.count == items.count else { return false }
        return zip(items, fields).allSatisfy { item, field in
            item.isUntyped || Cast.isAllowed(from: item.type, to: field.type, context: context)
                || itemsFit(item.items ?? [], field.type, context)
        }
    }

    private mutating func array(_ items: [ExpressionSyntax], at position: Int, _ block: Block) throws(SQLError) -> Bound {
        if items.isEmpty {
            throw SQLError(
                .indeterminateDatatype, "cannot determine type of empty array", at: position,
                hint: "Explicitly cast to the desired type, for example ARRAY[]::integer[].")
        }
        var bound: [Bound] = []
        for item in items { bound.append(try bind(item, block)) }
        let types = bound.map(\.type)
        guard let common = DataType.common(types) else { throw Self.noCommonType("ARRAY", types, position) }
        var elements: [Expression] = []
        var size = 1
        for (item, syntax) in zip(bound, items) {
            let converted = try coerce(item, to: common, at: syntax.position)
            size += converted.size
            elements.append(converted.expression)
        }
        let result: DataType = common.element == nil ? .array(common.withoutModifiers) : common
        return try folded(.call(.makeArray, elements, result), size: size, at: position)
    }

    /// `(a, b) < (c, d)`, item by item: unknown where what decides is NULL, unlike composite values, among which NULL is a value.
    /// nil: no comparison.
    @inline(never)
    mutating func rowComparison(
        _ name: String, _ left: [ExpressionSyntax], _ right: [ExpressionSyntax], at position: Int, _ block: Block
    ) throws(SQLError) -> Bound? {
        let strict: String
        switch name {
        case "=", "<>", "!=": strict = name
        case "<", "<=": strict = "<"
        case ">", ">=": strict = ">"
        default: return nil
        }
        guard left.count == right.count else { throw .syntaxError("unequal number of entries in row expressions", at: position) }
        guard !left.isEmpty else { throw .notSupported("a comparison of rows of zero length", at: position) }
        var pairs: [(left: Bound, right: Bound, places: [Int])] = []
        for (a, b) in zip(left, right) { pairs.append((try bind(a, block), try bind(b, block), [a.position, b.position])) }
        func compare(_ sign: String, _ at: Int) throws(SQLError) -> Expression {
            try resolved(sign, [pairs[at].left, pairs[at].right], pairs[at].places, isOperator: true, at: position).expression
        }
        let size = pairs.reduce(1) { $0 + 2 * ($1.left.size + $1.right.size) }
        if size > Self.expressionSizeMax { throw .tooDeep(at: position) }
        if strict == "=" || strict == "<>" || strict == "!=" {
            var items: [Expression] = []
            for at in pairs.indices { items.append(try compare(strict, at)) }
            return Bound(strict == "=" ? Simplifier.and(items) : Simplifier.or(items), size: size)
        }
        // The last items decide where all before them are equal.
        var result = try compare(name, pairs.count - 1)
        for at in pairs.indices.dropLast().reversed() {
            result = Simplifier.or([try compare(strict, at), Simplifier.and([try compare("=", at), result])])
        }
        return Bound(result, size: size)
    }

    // MARK: Access

    private mutating func subscripted(
        _ operand: ExpressionSyntax, _ subscripts: [ExpressionSyntax.Subscript], at position: Int, _ block: Block
    ) throws(SQLError) -> Bound {
        let base = try bind(operand, block)
        if base.type == .jsonb { return try documentPart(base, subscripts, at: position, block) }
        guard let element = base.type.element else {
            throw SQLError(
                .datatypeMismatch, "cannot subscript type \(base.type.sqlName) because it does not support subscripting", at: operand.position)
        }
        guard subscripts.count <= ArrayValue.dimensionsMax else {
            throw SQLError(
                .programLimitExceeded,
                "number of array dimensions (\(subscripts.count)) exceeds the maximum allowed (\(ArrayValue.dimensionsMax))", at: position)
        }
        let isSlice = subscripts.contains(where: \.isSlice)
        var arguments = [base.expression]
        var size = base.size + 1
        func index(_ syntax: ExpressionSyntax) throws(SQLError) -> Expression {
            let bound = try bind(syntax, block)
            guard bound.isUntyped || Cast.isAllowed(from: bound.type, to: .integer, context: .assignment) else {
                throw SQLError(.datatypeMismatch, "array subscript must have type integer", at: syntax.position)
            }
            size += bound.size
            return try coerce(bound, to: .integer, at: syntax.position, context: .assignment).expression
        }
        for one in subscripts {
            if !isSlice {
                if let lower = one.lower { arguments.append(try index(lower)) }
                continue
            }
            if one.isSlice {
                // An omitted bound is as far as any array goes.
                arguments.append(try one.lower.map { (syntax) throws(SQLError) in try index(syntax) } ?? .literal(.integer(.min), .integer))
                arguments.append(try one.upper.map { (syntax) throws(SQLError) in try index(syntax) } ?? .literal(.integer(.max), .integer))
            } else if let upper = one.lower {
                arguments += [.literal(.integer(1), .integer), try index(upper)]
            }
        }
        return try folded(
            .call(isSlice ? .arraySlice : .arrayGet, arguments, isSlice ? base.type.withoutModifiers : element.withoutModifiers), size: size,
            at: position)
    }

    /// `document['a'][0]`: a path.
    private mutating func documentPart(
        _ base: Bound, _ subscripts: [ExpressionSyntax.Subscript], at position: Int, _ block: Block
    ) throws(SQLError) -> Bound {
        var arguments = [base.expression]
        var size = base.size + 1
        for one in subscripts {
            guard !one.isSlice, let step = one.lower else {
                throw SQLError(.datatypeMismatch, "jsonb subscript does not support slices", at: position)
            }
            let bound = try bind(step, block)
            guard bound.isUntyped || bound.type == .text || Cast.isAllowed(from: bound.type, to: .integer, context: .implicit) else {
                throw SQLError(
                    .datatypeMismatch, "subscript type \(bound.type.sqlName) is not supported", at: step.position,
                    hint: "jsonb subscript must be coercible to either integer or text.")
            }
            arguments.append(try coerce(bound, to: .text, at: step.position, context: .explicit).expression)
            size += bound.size
        }
        return try folded(.call(.jsonExtractPath, arguments, .jsonb), size: size, at: position)
    }

    private mutating func field(_ operand: ExpressionSyntax, _ name: Identifier, _ block: Block) throws(SQLError) -> Bound {
        // (relation).column
        if case .name(let parts) = operand.kind, parts.count == 1, (try? block.scope.resolve(parts)) == nil,
            (try? block.scope.resolve(parts + [name])) != nil
        {
            return try column(parts + [name], block)
        }
        let base = try bind(operand, block)
        guard case .structure(let fields) = base.type else {
            throw SQLError(
                .wrongObjectType, "column notation .\(name.text) applied to type \(base.type.sqlName), which is not a composite type",
                at: operand.position)
        }
        guard let place = fields.firstIndex(where: { $0.name == name.text }) else {
            let near = Suggestion.nearest(to: name.text, among: fields.map(\.name))
            throw SQLError(
                .undefinedColumn, "could not identify column \"\(name.text)\" in record data type", at: name.position,
                hint: near.map { "Perhaps you meant the field \"\($0)\"." })
        }
        return try field(base, place, at: name.position)
    }

    /// The field at `place` of a composite value.
    func field(_ base: Bound, _ place: Int, at position: Int) throws(SQLError) -> Bound {
        guard case .structure(let fields) = base.type else { return base }
        return try folded(
            .call(.field, [base.expression, .literal(.integer(Int32(place)), .integer)], fields[place].type.withoutModifiers),
            size: base.size + 2, at: position)
    }

    // MARK: ANY and ALL

    private mutating func quantified(
        _ name: String, _ operand: ExpressionSyntax, _ arraySyntax: ExpressionSyntax, isAll: Bool, at position: Int, _ block: Block
    ) throws(SQLError) -> Bound {
        guard ArrayFunctions.quantifiable[name] != nil else {
            throw SQLError(.wrongObjectType, "op ANY/ALL (array) requires operator to yield boolean", at: position)
        }
        var left = try bind(operand, block)
        var array = try bind(arraySyntax, block)
        if array.isUntyped {
            array = try coerce(array, to: .array(left.isUntyped ? .text : left.type.withoutModifiers), at: arraySyntax.position)
        }
        guard let element = array.type.element else {
            throw SQLError(.wrongObjectType, "op ANY/ALL (array) requires array on right side", at: position)
        }
        // The operator chooses the types of operand and element.
        let call = try locating(position) { () throws(SQLError) in
            try ScalarFunction.resolve(named: name, arguments: [left.type, element], isOperator: true)
        }
        left = try coerce(left, to: call.arguments[0], at: operand.position)
        array = try coerce(array, to: .array(call.arguments[1]), at: arraySyntax.position)
        return try folded(
            .call(isAll ? .quantifiedAll : .quantifiedAny, [.literal(.text(name), .text), left.expression, array.expression], .boolean),
            size: left.size + array.size + 2, at: position)
    }
}
