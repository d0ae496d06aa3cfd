internal import MartletCore

extension Binder {
    /// Binds an expression; the result may be an untyped literal. Kept small, since its frame is on the stack once per level.
    mutating func bind(_ syntax: ExpressionSyntax, _ block: Block) throws(SQLError) -> Bound {
        try checkStack(at: syntax.position)
        switch syntax.kind {
        case .unary, .binary, .isDistinct: return try bindOperator(syntax, block)
        case .and, .or, .not: return try bindLogic(syntax, block)
        case .call: return try bindCall(syntax, block)
        case .conditional: return try bindConditional(syntax, block)
        case .cast: return try bindCast(syntax, block)
        case .name, .null, .boolean, .integer, .number, .string, .bytes, .parameter, .typedLiteral: return try bindLeaf(syntax, block)
        case .isTest, .between, .inList, .like, .inSubquery, .subquery, .exists, .arraySubquery, .row, .array, .subscripted, .field, .quantified, .named, .table,
            .descriptor:
            return try bindOther(syntax, block)
        }
    }

    @inline(never)
    private mutating func bindLeaf(_ syntax: ExpressionSyntax, _ block: Block) throws(SQLError) -> Bound {
        switch syntax.kind {
        case .name(let parts): return try column(parts, block)
        case .boolean(let value): return Bound(.literal(.boolean(value), .boolean))
        case .integer(let digits): return try integer(digits, at: syntax.position)
        case .number(let digits): return try number(digits, at: syntax.position)
        case .string(let text): return Bound(.literal(.text(text), .unknown))
        case .bytes(let bytes): return Bound(.literal(.bytea(bytes), .bytea))
        case .parameter(let number):
            if let arguments = block.arguments, number <= arguments.count { return arguments[number - 1].value }
            if block.arguments == nil, let argument = try functionArgument(number, at: syntax.position) { return argument }
            guard let parameters else { throw SQLError(.undefinedParameter, "there is no parameter $\(number)", at: syntax.position) }
            return try parameters.bound(number, at: syntax.position)
        case .typedLiteral(let type, let text): return try typedLiteral(type, text, at: syntax.position)
        default: return Bound(.literal(.null, .unknown))
        }
    }

    @inline(never)
    private mutating func bindOperator(_ syntax: ExpressionSyntax, _ block: Block) throws(SQLError) -> Bound {
        switch syntax.kind {
        case .unary(let name, let operand): return try operatorCall(name, [operand], at: syntax.position, block)
        case .binary(let name, let left, let right): return try operatorCall(name, [left, right], at: syntax.position, block)
        case .isDistinct(let left, let right, let negated):
            return try operatorCall(negated ? "is not distinct from" : "is distinct from", [left, right], at: syntax.position, block)
        default: return try bindOther(syntax, block)
        }
    }

    @inline(never)
    private mutating func bindLogic(_ syntax: ExpressionSyntax, _ block: Block) throws(SQLError) -> Bound {
        switch syntax.kind {
        case .and(let operands): return try logic(operands, isAnd: true, block)
        case .or(let operands): return try logic(operands, isAnd: false, block)
        case .not(let operand):
            let bound = try boolean(operand, "NOT", block)
            return Bound(Simplifier.not(bound.expression), size: bound.size + 1)
        default: return try bindOther(syntax, block)
        }
    }

    @inline(never)
    private mutating func bindCall(_ syntax: ExpressionSyntax, _ block: Block) throws(SQLError) -> Bound {
        guard case .call(let call) = syntax.kind else { return try bindOther(syntax, block) }
        return try self.call(call, block)
    }

    @inline(never)
    private mutating func bindConditional(_ syntax: ExpressionSyntax, _ block: Block) throws(SQLError) -> Bound {
        guard case .conditional(let operand, let branches, let otherwise) = syntax.kind else { return try bindOther(syntax, block) }
        return try conditional(operand, branches, otherwise, at: syntax.position, block)
    }

    @inline(never)
    private mutating func bindCast(_ syntax: ExpressionSyntax, _ block: Block) throws(SQLError) -> Bound {
        guard case .cast(let operand, let type) = syntax.kind else { return try bindOther(syntax, block) }
        return try cast(operand, type, at: syntax.position, block)
    }

    @inline(never)
    private mutating func bindOther(_ syntax: ExpressionSyntax, _ block: Block) throws(SQLError) -> Bound {
        switch syntax.kind {
        case .isTest(let operand, let test, let negated): return try isTest(operand, test, negated, at: syntax.position, block)
        case .between(let operand, let low, let high, let negated, let symmetric):
            return try between(operand, low, high, negated: negated, symmetric: symmetric, at: syntax.position, block)
        case .inList(let operand, let items, let negated): return try inList(operand, items, negated, at: syntax.position, block)
        case .like(let operand, let pattern, let escape, let negated, let caseInsensitive):
            return try like(operand, pattern, escape, negated, caseInsensitive, at: syntax.position, block)
        case .inSubquery, .subquery, .exists, .arraySubquery: return try pending(syntax, block)
        case .row, .array, .subscripted, .field, .quantified: return try bindNested(syntax, block)
        case .named(let name, _): throw .notSupported("a named argument", at: name.position)
        default:
            throw .syntaxError("TABLE and DESCRIPTOR stand only in the arguments of a table function", at: syntax.position)
        }
    }

    /// Binds to a typed expression: an untyped literal becomes text.
    mutating func typed(_ syntax: ExpressionSyntax, _ block: Block) throws(SQLError) -> Bound {
        let bound = try bind(syntax, block)
        return bound.isUntyped ? try coerce(bound, to: .text, at: syntax.position) : bound
    }

    /// Binds a condition; anything but boolean is 42804, as PostgreSQL words it.
    mutating func boolean(_ syntax: ExpressionSyntax, _ construct: String, _ block: Block) throws(SQLError) -> Bound {
        let bound = try bind(syntax, block)
        guard bound.isUntyped || bound.type == .boolean else {
            throw SQLError(
                .datatypeMismatch, "argument of \(construct) must be type boolean, not type \(bound.type.sqlName)", at: syntax.position)
        }
        return try coerce(bound, to: .boolean, at: syntax.position)
    }

    /// A constant expression's value (no columns, no aggregates), as `type`.
    mutating func constant(_ syntax: ExpressionSyntax, as type: DataType, _ what: String) throws(SQLError) -> Value {
        let block = Block(scope: Scope())
        block.clause = .constant
        let bound = try coerce(try bind(syntax, block), to: type, at: syntax.position, context: .assignment)
        guard let value = bound.expression.literalValue else {
            throw SQLError(.invalidParameterValue, "\(what) must be a constant", at: syntax.position)
        }
        return value
    }

    // MARK: Leaves

    /// Functions of the session that are called without parentheses.
    private static let sessionNames: Set<String> = ["current_user", "session_user", "current_role", "current_catalog", "current_schema"]

    @inline(never)
    mutating func column(_ parts: [Identifier], _ block: Block) throws(SQLError) -> Bound {
        if let arguments = block.arguments, let name = parts.last?.text, let argument = arguments.first(where: { $0.name == name }) {
            return argument.value
        }
        let ordinal: Int
        do {
            ordinal = try block.scope.resolve(parts)
        } catch {
            if parts.count == 1, Self.sessionNames.contains(parts[0].text), !parts[0].isQuoted, try outerColumn(parts) == nil {
                return try resolved(parts[0].text, [], [], isOperator: false, at: parts[0].position)
            }
            if parts.count == 1, let row = wholeRow(parts[0].text, block) { return row }
            guard error.state != .ambiguousColumn else { throw error }
            guard let outer = try outerColumn(parts) else {
                if parts.count == 1, let argument = try functionArgument(parts[0]) { return argument }
                throw error
            }
            let block = outerBlocks[outerBlocks.count - 1 - outer.level]
            return Bound(.column(Block.outerBase + outer.level * Block.levelStride + outer.ordinal, block.scope.columns[outer.ordinal].type))
        }
        if block.clause != .aggregate { block.uses.append((ordinal, parts[0].position)) }
        return Bound(.column(ordinal, block.scope.columns[ordinal].type))
    }

    /// A relation's name in the place of a column: its row as a composite value.
    @inline(never)
    private func wholeRow(_ relation: String, _ block: Block) -> Bound? {
        guard block.scope.relations.contains(relation) else { return nil }
        let own = block.scope.columns.enumerated().filter { $0.element.relation == relation && $0.element.isListed }
        guard !own.isEmpty else { return nil }
        if block.clause != .aggregate { for column in own { block.uses.append((column.offset, 0)) } }
        let fields = own.map { StructureField(name: $0.element.name, type: $0.element.type.withoutModifiers) }
        return Bound(.call(.makeRow, own.map { .column($0.offset, $0.element.type) }, .structure(fields)), size: own.count + 1)
    }

    /// The column of a query around this one, the nearest that has it, at level 0 the one directly around. Throws where that has two,
    /// or has the relation that is named, and no such column of it.
    private func outerColumn(_ parts: [Identifier]) throws(SQLError) -> (level: Int, ordinal: Int)? {
        let relation = parts.count > 1 ? parts[parts.count - 2].text : nil
        for (level, block) in outerBlocks.reversed().enumerated() {
            // A function's body sees nothing of who calls it but the arguments.
            if let frame = functionFrames.last, outerBlocks.count - level <= frame.depth { return nil }
            let ordinal: Int
            do {
                ordinal = try block.scope.resolve(parts)
            } catch {
                if error.state == .ambiguousColumn { throw error }
                if let relation, block.scope.relations.contains(relation) { throw error }
                continue
            }
            if block.clause != .aggregate { block.uses.append((ordinal, parts[0].position)) }
            return (level, ordinal)
        }
        return nil
    }

    private func integer(_ digits: String, at position: Int) throws(SQLError) -> Bound {
        if let value = Int32(digits) { return Bound(.literal(.integer(value), .integer)) }
        if let value = Int64(digits) { return Bound(.literal(.bigint(value), .bigint)) }
        return try number(digits, at: position)
    }

    private func number(_ digits: String, at position: Int) throws(SQLError) -> Bound {
        guard let value = Decimal(text: digits) else {
            throw SQLError(.numericValueOutOfRange, "value overflows numeric format", at: position)
        }
        return Bound(.literal(.numeric(value), .plainNumeric))
    }

    private mutating func typedLiteral(_ type: TypeSyntax, _ text: String, at position: Int) throws(SQLError) -> Bound {
        var text = text
        let target = try dataType(type)
        // INTERVAL '5' MINUTE: the field is the unit of a bare number.
        if target == .interval, let fields = type.intervalFields {
            if let unit = fields.split(separator: " ").last, !fields.contains(" to "),
                text.utf8.allSatisfy({ isDigit($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: ".") || $0 == 32 })
            {
                text += " \(unit)"
            } else if fields.contains(" to "), !["day to second", "day to minute", "hour to second", "hour to minute", "year to month"].contains(fields) {
                guard fields == "minute to second", text.utf8.count(where: { $0 == UInt8(ascii: ":") }) == 1 else {
                    throw .notSupported("INTERVAL … \(fields.uppercasedASCII)", at: position)
                }
                text = "00:" + text
            }
        }
        return try coerce(Bound(.literal(.text(text), .unknown)), to: target, at: position, context: .explicit)
    }

    /// Types of the system catalogs, as what they are kept as here.
    private static let systemTypes: [String: DataType] = [
        "oid": .bigint, "xid": .bigint, "cid": .bigint, "xid8": .bigint, "name": .text, "char": .text, "pg_node_tree": .text, "aclitem": .text,
        "int2vector": .array(.smallint), "oidvector": .array(.bigint), "regclass": .bigint, "regtype": .bigint, "regproc": .bigint,
        "regprocedure": .bigint, "regnamespace": .bigint, "regrole": .bigint, "regoper": .bigint, "regoperator": .bigint, "regcollation": .bigint, "regconfig": .bigint,
        "pg_lsn": .text, "tid": .text, "cstring": .text, "anyarray": .array(.text),
    ]

    /// A written type; unknown names are 42704, known shapes that columns do not have are 0A000.
    func dataType(_ syntax: TypeSyntax) throws(SQLError) -> DataType {
        if syntax.isArray || syntax.fields != nil { return try nestedType(syntax) }
        if let type = Self.systemTypes[syntax.name], syntax.modifiers.isEmpty, syntax.name != "char" || syntax.isQuoted { return type }
        if let type = DataType(sqlName: syntax.name, modifiers: syntax.modifiers), type != .unknown {
            if !syntax.modifiers.isEmpty, type == .text {
                throw .notSupported("a length limit of \(syntax.name)", at: syntax.position, hint: "Use TEXT.")
            }
            return type
        }
        for schema in catalog.searchPath {
            if let type = catalog.type(named: CatalogNames.canonical(schema: schema, name: syntax.name)) { return type }
        }
        switch syntax.name {
        case "char", "character", "bpchar":
            // Blanks at the end of CHAR(n) mean nothing in PostgreSQL, so none are added.
            if syntax.modifiers.isEmpty { return .text }
            throw .notSupported("a length limit of \(syntax.name)", at: syntax.position, hint: "Use TEXT.")
        case "serial", "bigserial", "money", "xml", "point", "inet", "cidr", "timetz", "time with time zone", "bit", "varbit", "tsvector", "oid":
            throw .notSupported("the type \(syntax.name)", at: syntax.position)
        default: break
        }
        if DataType(sqlName: syntax.name) != nil {
            throw SQLError(
                .invalidParameterValue, "type modifier is not allowed or out of range for type \"\(syntax.name)\"", at: syntax.position,
                hint: syntax.name == "numeric" || syntax.name == "decimal" ? "NUMERIC has 1 to 38 digits, of which the scale may be all." : nil)
        }
        let known = ["boolean", "smallint", "integer", "int", "bigint", "real", "double", "numeric", "decimal", "text", "varchar", "bytea", "date", "time", "timestamp", "timestamptz", "interval", "jsonb", "uuid"]
        let near = Suggestion.nearest(to: syntax.name, among: known)
        throw SQLError(
            .undefinedObject, "type \"\(syntax.name)\" does not exist", at: syntax.position,
            hint: near.map { "Perhaps you meant the type \"\($0)\"." })
    }

    /// A column's type. A limit on its length is not kept to, which `notices` says.
    mutating func columnType(_ syntax: TypeSyntax, of column: String) throws(SQLError) -> DataType {
        guard syntax.lengthLimit != nil else { return try dataType(syntax) }
        var type = syntax
        type.modifiers = []
        notices.append("the length limit of column \"\(column)\" is not enforced")
        return try dataType(type)
    }

    // MARK: Conversion

    /// Brings `bound` to `type` where `context` allows it; literals are converted now.
    @inline(never)
    func coerce(
        _ bound: Bound, to type: DataType, at position: Int, context castContext: Cast.Context = .implicit
    ) throws(SQLError) -> Bound {
        let from = bound.type
        if from == type { return bound }
        if from == .unknown {
            guard case .literal(let value, _) = bound.expression else { return bound }
            if let parameter = bound.parameter { parameters?.settle(parameter, as: type) }
            if value.isNull { return Bound(.literal(.null, type)) }
            if type == .text { return Bound(.literal(value, .text)) }
            let converted = try locating(position) { () throws(SQLError) in try value.cast(to: type, explicit: castContext == .explicit, context: context) }
            return Bound(.literal(converted, type))
        }
        if from.withoutModifiers == type { return bound }
        let isSame = from.withoutModifiers == type.withoutModifiers
        if let items = bound.items, itemsFit(items, type, castContext) {
            return try coerceItems(items, to: type, at: position, context: castContext)
        }
        guard isSame || Cast.isAllowed(from: from, to: type, context: castContext) else {
            throw SQLError(.cannotCoerce, "cannot cast type \(from.sqlName) to \(type.sqlName)", at: position)
        }
        return try folded(.cast(bound.expression, type, explicit: castContext == .explicit), size: bound.size + 1, at: position)
    }

    /// The value of a cast or call whose operands are all constants. In a guarded place an error is left to run time.
    @inline(never)
    func folded(_ expression: Expression, size: Int, at position: Int) throws(SQLError) -> Bound {
        if size > Self.expressionSizeMax { throw .tooDeep(at: position) }
        do {
            if let value = try Simplifier.constantValue(of: expression, context) { return Bound(.literal(value, expression.type)) }
        } catch {
            if guardDepth == 0 { throw error.located(position) }
        }
        return Bound(expression, size: size)
    }

    @inline(never)
    private mutating func cast(_ operand: ExpressionSyntax, _ type: TypeSyntax, at position: Int, _ block: Block) throws(SQLError) -> Bound {
        if let length = type.lengthLimit { return try cut(try bind(operand, block), length, type, operand.position, at: position) }
        let target = try dataType(type)
        if !type.isArray, CatalogFunctionTable.registered.contains(type.name) {
            return try registered(try bind(operand, block), type.name, operand.position)
        }
        if case .array(let items) = operand.kind, items.isEmpty, let element = target.element {
            return Bound(.literal(.array(ArrayValue(element.withoutModifiers, [])), target))
        }
        let bound = try bind(operand, block)
        if target == .text, bound.registered != nil { return try shown(bound, at: position) }
        let place = bound.isUntyped ? operand.position : position
        var result = try coerce(bound, to: target, at: place, context: .explicit)
        // `'t'::regclass::oid` is a number again.
        result.registered = nil
        return result
    }

    /// An explicit cast to VARCHAR(n) or CHAR(n) cuts what is longer.
    @inline(never)
    private func cut(_ bound: Bound, _ limit: Int, _ type: TypeSyntax, _ place: Int, at position: Int) throws(SQLError) -> Bound {
        let length = Bound(.literal(.integer(Int32(clamping: limit)), .integer))
        let text = try coerce(bound, to: .text, at: place, context: .explicit)
        return try resolved("left", [text, length], [place, type.position], isOperator: false, at: position)
    }

    /// A cast to `regclass` and the like: an identifier, from a name or as it is.
    @inline(never)
    private mutating func registered(_ bound: Bound, _ kind: String, _ position: Int) throws(SQLError) -> Bound {
        var result: Bound
        if bound.type == .text || bound.isUntyped, bound.parameter == nil {
            result = try resolved(kind + "in", [try coerce(bound, to: .text, at: position)], [position], isOperator: false, at: position)
        } else {
            result = try coerce(bound, to: .bigint, at: position, context: .explicit)
        }
        result.registered = kind
        return result
    }

    /// An identifier of a kind of objects as the name it is shown by.
    @inline(never)
    func shown(_ bound: Bound, at position: Int) throws(SQLError) -> Bound {
        guard let kind = bound.registered else { return bound }
        var plain = bound
        plain.registered = nil
        return try resolved(kind + "out", [plain], [position], isOperator: false, at: position)
    }

    // MARK: Operators

    @inline(never)
    mutating func operatorCall(_ name: String, _ operands: [ExpressionSyntax], at position: Int, _ block: Block) throws(SQLError) -> Bound {
        if operands.count == 2, case .row(let left) = operands[0].kind, case .row(let right) = operands[1].kind,
            let compared = try rowComparison(name, left, right, at: position, block)
        {
            return compared
        }
        var arguments: [Bound] = []
        for operand in operands { arguments.append(try bind(operand, block)) }
        return try resolved(name, arguments, operands.map(\.position), isOperator: true, at: position)
    }

    /// Overload resolution, implicit conversion of the arguments, folding.
    @inline(never)
    func resolved(
        _ name: String, _ arguments: [Bound], _ positions: [Int], isOperator: Bool, at position: Int
    ) throws(SQLError) -> Bound {
        let resolved = try locating(position) { () throws(SQLError) in
            try resolutions.resolve(name, arguments.map(\.type), isOperator: isOperator)
        }
        var operands: [Expression] = []
        var size = 1
        for (index, argument) in arguments.enumerated() {
            let operand = try coerce(argument, to: resolved.arguments[index], at: positions[index])
            operands.append(operand.expression)
            size += operand.size
        }
        if resolved.function == .catalog || resolved.function == .volatile { operands.insert(.literal(.text(name), .text), at: 0) }
        if resolved.function == .coalesce { return Bound(.coalesce(operands, resolved.result), size: size) }
        return try folded(.call(resolved.function, operands, resolved.result), size: size, at: position)
    }

    @inline(never)
    private mutating func logic(_ operands: [ExpressionSyntax], isAnd: Bool, _ block: Block) throws(SQLError) -> Bound {
        guardDepth += 1
        defer { guardDepth -= 1 }
        var bound: [Expression] = []
        bound.reserveCapacity(operands.count)
        var size = 1
        for operand in operands {
            let condition = try boolean(operand, isAnd ? "AND" : "OR", block)
            size += condition.size
            bound.append(condition.expression)
        }
        if size > Self.expressionSizeMax { throw .tooDeep(at: operands[0].position) }
        return Bound(isAnd ? Simplifier.and(bound) : Simplifier.or(bound), size: size)
    }

    @inline(never)
    private mutating func isTest(
        _ operand: ExpressionSyntax, _ test: ExpressionSyntax.IsTest, _ negated: Bool, at position: Int, _ block: Block
    ) throws(SQLError) -> Bound {
        let bound: Bound
        if case .row(let items) = operand.kind, test == .null, !items.isEmpty {
            // Each of them is NULL; none of them is.
            var tests: [Expression] = []
            var size = 1
            for item in items {
                let value = try typed(item, block)
                let isNull = Simplifier.isNull(value.expression)
                tests.append(negated ? Simplifier.not(isNull) : isNull)
                size += value.size + 1
            }
            return Bound(Simplifier.and(tests), size: size)
        }
        switch test {
        case .null: bound = try typed(operand, block)
        case .unknown: bound = try boolean(operand, negated ? "IS NOT UNKNOWN" : "IS UNKNOWN", block)
        case .isTrue, .isFalse:
            let name = "is \(negated ? "not " : "")\(test == .isTrue ? "true" : "false")"
            return try resolved(name, [try boolean(operand, name.uppercasedASCII, block)], [operand.position], isOperator: true, at: position)
        }
        let isNull = Simplifier.isNull(bound.expression)
        return Bound(negated ? Simplifier.not(isNull) : isNull, size: bound.size + 2)
    }

    @inline(never)
    private mutating func between(
        _ operand: ExpressionSyntax, _ low: ExpressionSyntax, _ high: ExpressionSyntax, negated: Bool, symmetric: Bool, at position: Int,
        _ block: Block
    ) throws(SQLError) -> Bound {
        let value = try bind(operand, block)
        let bounds = [(try bind(low, block), low.position), (try bind(high, block), high.position)]
        func inside(_ low: (Bound, Int), _ high: (Bound, Int)) throws(SQLError) -> (expression: Expression, size: Int) {
            let above = try resolved(">=", [value, low.0], [operand.position, low.1], isOperator: true, at: position)
            let below = try resolved("<=", [value, high.0], [operand.position, high.1], isOperator: true, at: position)
            return (Simplifier.and([above.expression, below.expression]), above.size + below.size + 1)
        }
        var (result, size) = try inside(bounds[0], bounds[1])
        if symmetric {
            let swapped = try inside(bounds[1], bounds[0])
            result = Simplifier.or([result, swapped.expression])
            size += swapped.size + 1
        }
        if size > Self.expressionSizeMax { throw .tooDeep(at: position) }
        return Bound(negated ? Simplifier.not(result) : result, size: size + 1)
    }

    @inline(never)
    private mutating func inList(
        _ operand: ExpressionSyntax, _ items: [ExpressionSyntax], _ negated: Bool, at position: Int, _ block: Block
    ) throws(SQLError) -> Bound {
        if case .row = operand.kind, items.allSatisfy({ if case .row = $0.kind { true } else { false } }) {
            var alternatives: [Expression] = []
            var size = 1
            for item in items {
                let equal = try operatorCall("=", [operand, item], at: position, block)
                alternatives.append(equal.expression)
                size += equal.size
                if size > Self.expressionSizeMax { throw .tooDeep(at: position) }
            }
            let any = Simplifier.or(alternatives)
            return Bound(negated ? Simplifier.not(any) : any, size: size)
        }
        let value = try bind(operand, block)
        var bound: [Bound] = []
        bound.reserveCapacity(items.count)
        for item in items { bound.append(try bind(item, block)) }
        var result: Expression?
        var size = value.size + bound.count + 1
        if let common = DataType.common([value.type] + bound.map(\.type)), !(value.isUntyped && bound.allSatisfy(\.isUntyped)) {
            var constants: [Value] = []
            var others: [Expression] = []
            let left = try coerce(value, to: common, at: operand.position)
            var hasNull = false
            for (item, syntax) in zip(bound, items) {
                let converted = try coerce(item, to: common, at: syntax.position)
                if let constant = converted.expression.literalValue {
                    if constant.isNull { hasNull = true } else { constants.append(constant) }
                } else {
                    size += left.size + converted.size
                    others.append(
                        try resolved("=", [left, converted], [operand.position, syntax.position], isOperator: true, at: position).expression)
                }
            }
            if size > Self.expressionSizeMax { throw .tooDeep(at: position) }
            var alternatives: [Expression] = []
            if !constants.isEmpty {
                // The type must have an equality; asking for it gives PostgreSQL's error where it has none.
                _ = try locating(position) { () throws(SQLError) in
                    try ScalarFunction.resolve(named: "=", arguments: [common, common], isOperator: true)
                }
                alternatives.append(Simplifier.inList(left.expression, constants))
            }
            alternatives += others
            if hasNull { alternatives.append(.literal(.null, .boolean)) }
            result = Simplifier.or(alternatives)
        }
        if result == nil {
            // No common type: PostgreSQL compares one by one.
            var alternatives: [Expression] = []
            for (item, syntax) in zip(bound, items) {
                let equal = try resolved("=", [value, item], [operand.position, syntax.position], isOperator: true, at: position)
                size += equal.size
                if size > Self.expressionSizeMax { throw .tooDeep(at: position) }
                alternatives.append(equal.expression)
            }
            result = Simplifier.or(alternatives)
        }
        let chosen = result ?? .literal(.boolean(false), .boolean)
        return Bound(negated ? Simplifier.not(chosen) : chosen, size: size)
    }

    @inline(never)
    private mutating func like(
        _ operand: ExpressionSyntax, _ pattern: ExpressionSyntax, _ escape: ExpressionSyntax?, _ negated: Bool, _ caseInsensitive: Bool,
        at position: Int, _ block: Block
    ) throws(SQLError) -> Bound {
        guard let escape else {
            let name = (negated ? "!" : "") + (caseInsensitive ? "~~*" : "~~")
            return try operatorCall(name, [operand, pattern], at: position, block)
        }
        let name = (negated ? "not " : "") + (caseInsensitive ? "ilike" : "like")
        return try operatorCall(name, [operand, pattern, escape], at: position, block)
    }

    // MARK: CASE

    @inline(never)
    private mutating func conditional(
        _ operand: ExpressionSyntax?, _ branches: [ExpressionSyntax.Branch], _ otherwise: ExpressionSyntax?, at position: Int, _ block: Block
    ) throws(SQLError) -> Bound {
        let value: Bound? = if let operand { try bind(operand, block) } else { nil }
        guardDepth += 1
        defer { guardDepth -= 1 }
        var conditions: [Expression] = []
        var results: [(bound: Bound, position: Int)] = []
        var size = 1
        for branch in branches {
            let condition: Bound
            if let value, let operand {
                let test = try bind(branch.condition, block)
                condition = try resolved(
                    "=", [value, test], [operand.position, branch.condition.position], isOperator: true, at: branch.condition.position)
            } else {
                condition = try boolean(branch.condition, "CASE/WHEN", block)
            }
            size += condition.size
            if size > Self.expressionSizeMax { throw .tooDeep(at: position) }
            conditions.append(condition.expression)
            results.append((try bind(branch.result, block), branch.result.position))
        }
        if let otherwise {
            results.append((try bind(otherwise, block), otherwise.position))
        } else {
            results.append((Bound(.literal(.null, .unknown)), position))
        }
        // PostgreSQL looks at ELSE first when it chooses the type.
        let types = [results[results.count - 1].bound.type] + results.dropLast().map(\.bound.type)
        guard let common = DataType.common(types) else {
            throw Self.noCommonType("CASE", types, results.dropLast().first(where: { !$0.bound.isUntyped })?.position ?? position)
        }
        var converted: [Expression] = []
        for result in results {
            let expression = try coerce(result.bound, to: common, at: result.position)
            size += expression.size
            converted.append(expression.expression)
        }
        let mapped = zip(conditions, converted).map { ConditionalBranch(condition: $0, result: $1) }
        return Bound(Simplifier.conditional(mapped, otherwise: converted[converted.count - 1], common), size: size)
    }

    static func noCommonType(_ construct: String, _ types: [DataType], _ position: Int) -> SQLError {
        let known = types.filter { $0 != .unknown }
        let first = known.first ?? .text
        let other = known.first { DataType.common([first, $0]) == nil } ?? first
        return SQLError(
            .datatypeMismatch, "\(construct) types \(first.withoutModifiers.sqlName) and \(other.withoutModifiers.sqlName) cannot be matched",
            at: position)
    }
}
