internal import MartletCore

/// CREATE FUNCTION … LANGUAGE SQL, and its calls: the body is bound in the call's place, over the arguments.
extension Binder {
    /// Functions that call functions, and so on.
    private static let inlineDepthMax = 32

    mutating func function(_ create: CreateFunctionSyntax, text: String) throws(SQLError) -> FunctionDefinition {
        guard create.language.lowercasedASCII == "sql" else {
            throw .notSupported("LANGUAGE \(create.language)", at: create.position, hint: "LANGUAGE SQL functions are supported.")
        }
        guard create.bodyPosition >= 0 else { throw SQLError(SQLState("42P13"), "no function body specified", at: create.position) }
        var types: [DataType] = []
        for parameter in create.parameters { types.append(try dataType(parameter.type)) }
        let body = try Self.body(create)
        let function = FunctionDefinition(
            name: try objectName(create.name), parameterNames: create.parameters.map { $0.name?.text }, parameterTypes: types,
            result: try dataType(create.result), body: body, replaces: create.replaces, text: text)
        if !create.replaces, catalog.functions(named: function.name).contains(where: { $0.parameterTypes == types }) {
            throw SQLError(
                SQLState("42723"), "function \"\(create.name.last.text)\" already exists with same argument types", at: create.name.position)
        }
        // Over columns that stand for the arguments, to see that it can be bound.
        let arguments = types.enumerated().map { Bound(.column($0.offset, $0.element)) }
        let caller = Block(scope: Scope(relation: "", fields: types.map { Field(name: "", type: $0) }))
        do {
            _ = try inlined(function, arguments, caller)
        } catch {
            var error = error
            error.position = create.bodyPosition + 1
            throw error
        }
        return function
    }

    /// `SELECT expression`; any other query of one column, as a subquery.
    private static func body(_ create: CreateFunctionSyntax) throws(SQLError) -> ExpressionSyntax {
        func unsupported() -> SQLError {
            .notSupported("this body of a function", at: create.bodyPosition, hint: "It is one SELECT.")
        }
        var statements: [StatementSyntax]
        do {
            var parser = try Parser(create.body)
            statements = try parser.statements()
        } catch {
            var error = error
            error.position = create.bodyPosition + 1
            throw error
        }
        guard statements.count == 1, case .select(let query) = statements[0].kind else { throw unsupported() }
        let whole = ExpressionSyntax(kind: .subquery(query), position: query.position, depth: 1)
        guard case .select(let select) = query.body, select.items.count == 1,
            case .expression(let expression, _) = select.items[0], select.from.isEmpty, select.condition == nil, select.groupBy.isEmpty,
            select.groupingSets.isEmpty, select.having == nil, query.orderBy.isEmpty, query.limit == nil, query.offset == nil, query.with.isEmpty,
            !expression.isQueryLike
        else { return whole }
        return expression
    }

    /// The call of a function that users have defined; nil: there is none of that name.
    @inline(never)
    mutating func userCall(_ call: CallSyntax, _ block: Block) throws(SQLError) -> Bound? {
        var candidates: [FunctionDefinition] = []
        if call.name.parts.count > 1 {
            candidates = catalog.functions(named: try objectName(call.name))
        } else {
            for schema in catalog.searchPath where candidates.isEmpty {
                candidates = catalog.functions(named: CatalogNames.canonical(schema: schema, name: call.name.last.text))
            }
        }
        guard !candidates.isEmpty else { return nil }
        var arguments: [Bound] = []
        for argument in call.arguments { arguments.append(try bind(argument, block)) }
        func fits(_ function: FunctionDefinition, _ accepts: (DataType, DataType) -> Bool) -> Bool {
            function.parameterTypes.count == arguments.count
                && zip(arguments, function.parameterTypes).allSatisfy { $0.type == .unknown || accepts($0.type, $1) }
        }
        let exact = candidates.first { fits($0) { $0.withoutModifiers == $1.withoutModifiers } }
        guard let function = exact ?? candidates.first(where: { fits($0) { Cast.isAllowed(from: $0, to: $1, context: .implicit) } }) else {
            let types = arguments.map { $0.type.withoutModifiers.sqlName }.joined(separator: ", ")
            throw SQLError(
                .undefinedFunction, "function \(call.name.text)(\(types)) does not exist", at: call.position,
                hint: "No function matches the given name and argument types. You might need to add explicit type casts.")
        }
        for index in arguments.indices {
            arguments[index] = try coerce(arguments[index], to: function.parameterTypes[index], at: call.arguments[index].position)
        }
        do {
            return try inlined(function, arguments, block)
        } catch {
            var error = error
            error.position = call.position + 1
            throw error
        }
    }

    /// The body over the arguments; a query becomes a subquery of `caller`.
    private mutating func inlined(_ function: FunctionDefinition, _ arguments: [Bound], _ caller: Block) throws(SQLError) -> Bound {
        guard inlineDepth < Self.inlineDepthMax else {
            throw SQLError(.statementTooComplex, "functions call each other too deeply")
        }
        inlineDepth += 1
        defer { inlineDepth -= 1 }
        if case .subquery(let query) = function.body.kind {
            let isPlain = arguments.allSatisfy { argument in
                argument.expression.columns.allSatisfy { $0 < Block.aggregateBase || Block.isOuter($0) }
            }
            guard isPlain, caller.arguments == nil else {
                throw .notSupported("a function that queries, over an aggregate, a subquery or another function's arguments", at: 0)
            }
            functionFrames.append(FunctionFrame(depth: outerBlocks.count + 1, names: function.parameterNames, arguments: arguments))
            defer { functionFrames.removeLast() }
            return try coerce(try scalarSubquery(query, caller), to: function.result, at: 0, context: .assignment)
        }
        let block = Block(scope: Scope())
        block.clause = .values
        block.arguments = zip(function.parameterNames, arguments).map { ($0, $1) }
        let result = try coerce(try bind(function.body, block), to: function.result, at: 0, context: .assignment)
        guard block.subqueries.isEmpty else { throw SQLError(.featureNotSupported, "a subquery in a function is not supported yet") }
        return result
    }

    /// The argument of the function whose body is being bound; nil: there is none of that name.
    func functionArgument(_ name: Identifier) throws(SQLError) -> Bound? {
        guard let frame = functionFrames.last, let place = frame.names.firstIndex(of: name.text) else { return nil }
        return outerArgument(frame, place)
    }

    func functionArgument(_ number: Int, at position: Int) throws(SQLError) -> Bound? {
        guard let frame = functionFrames.last, number <= frame.arguments.count else { return nil }
        return outerArgument(frame, number - 1)
    }

    /// An argument, told from inside the body: the caller's columns are those of a query around.
    private func outerArgument(_ frame: FunctionFrame, _ place: Int) -> Bound {
        let level = outerBlocks.count - frame.depth
        var argument = frame.arguments[place]
        argument.items = nil
        argument.expression = argument.expression.renumbered {
            Block.isOuter($0) ? $0 + (level + 1) * Block.levelStride : $0 + Block.outerBase + level * Block.levelStride
        }
        return argument
    }
}

extension ExpressionSyntax {
    /// It needs a query around it: aggregates and subqueries, at its top or in the arguments there.
    fileprivate var isQueryLike: Bool {
        switch kind {
        case .subquery, .exists, .inSubquery, .arraySubquery: true
        case .call(let call): Binder.aggregateNames.contains(call.name.last.text) || call.arguments.contains(where: \.isQueryLike)
        case .cast(let operand, _), .unary(_, let operand), .not(let operand), .field(let operand, _): operand.isQueryLike
        case .binary(_, let left, let right): left.isQueryLike || right.isQueryLike
        case .and(let operands), .or(let operands), .row(let operands), .array(let operands): operands.contains(where: \.isQueryLike)
        case .conditional(let operand, let branches, let otherwise):
            operand?.isQueryLike ?? false || otherwise?.isQueryLike ?? false
                || branches.contains { $0.condition.isQueryLike || $0.result.isQueryLike }
        default: false
        }
    }
}
