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
        do {
            _ = try inlined(function, arguments)
        } catch {
            var error = error
            error.position = create.bodyPosition + 1
            throw error
        }
        return function
    }

    /// `SELECT expression`, the one form a body may have.
    private static func body(_ create: CreateFunctionSyntax) throws(SQLError) -> ExpressionSyntax {
        func unsupported() -> SQLError {
            .notSupported(
                "this body of a function", at: create.bodyPosition, hint: "It is SELECT and one expression, without FROM.")
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
        guard statements.count == 1, case .select(let query) = statements[0].kind, case .select(let select) = query.body, select.items.count == 1,
            case .expression(let expression, _) = select.items[0], select.from.isEmpty, select.condition == nil, select.groupBy.isEmpty,
            select.having == nil, query.orderBy.isEmpty, query.limit == nil, query.with.isEmpty
        else { throw unsupported() }
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
            return try inlined(function, arguments)
        } catch {
            var error = error
            error.position = call.position + 1
            throw error
        }
    }

    private mutating func inlined(_ function: FunctionDefinition, _ arguments: [Bound]) throws(SQLError) -> Bound {
        guard inlineDepth < Self.inlineDepthMax else {
            throw SQLError(.statementTooComplex, "functions call each other too deeply")
        }
        inlineDepth += 1
        defer { inlineDepth -= 1 }
        let block = Block(scope: Scope())
        block.clause = .values
        block.arguments = zip(function.parameterNames, arguments).map { ($0, $1) }
        let result = try coerce(try bind(function.body, block), to: function.result, at: 0, context: .assignment)
        guard block.subqueries.isEmpty else { throw SQLError(.featureNotSupported, "a subquery in a function is not supported yet") }
        return result
    }
}
