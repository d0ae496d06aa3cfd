internal import MartletCore

/// Functions that give rows, in FROM and in the select list: arrays taken apart (`Plan.unnested`).
extension Binder {
    /// A function's rows: arrays side by side, and what their elements are called.
    private struct RowFunction {
        var lists: [Expression]
        var names: [String]
        var hasOrdinality = false
        /// One column, which an alias for the function names too.
        var takesAlias = true
        /// Never a row: its columns.
        var nothing: [Field]?
        /// The elements of the one list are composite values, whose fields are the columns.
        var isComposite = false
    }

    /// Names that give rows without being scalar functions too.
    static let rowFunctions: Set<String> = ScalarFunction.setReturning.union([
        "unnest", "jsonb_each", "json_each", "jsonb_each_text", "json_each_text", "string_to_table", "regexp_split_to_table", "_pg_expandarray",
        "jsonb_populate_recordset", "json_populate_recordset", "jsonb_to_record", "json_to_record", "jsonb_to_recordset", "json_to_recordset",
        "jsonb_path_query", "aclexplode", "pg_partition_tree", "pg_options_to_table", "pg_get_keywords", "pg_listening_channels", "pg_show_all_settings",
        "pg_timezone_names",
    ])

    /// A function in FROM, whose arguments may read what stands to its left.
    mutating func tableFunction(
        _ left: (Plan, Scope)?, _ call: FromSyntax.Function, isOuter: Bool = false
    ) throws(SQLError) -> (Plan, Scope) {
        let name = try functionName(call.name)
        let block = Block(scope: left?.1 ?? Scope())
        block.clause = .fromFunction
        let function = try rowFunction(name, call, block)
        var input = left?.0 ?? .values([[]], fields: [])
        let width = input.fields.count
        if !block.subqueries.isEmpty { input = try attached(input, block, at: call.name.position) }
        let lists = function.lists.map(block.resolved)
        let hasOrdinality = call.hasOrdinality || function.hasOrdinality
        var fields = function.nothing ?? zip(function.names, lists).map { Field(name: $0, type: $1.type.element ?? $1.type) }
        if function.isComposite, case .structure(let parts)? = fields.first?.type { fields = parts.map { Field(name: $0.name, type: $0.type) } }
        if hasOrdinality { fields.append(Field(name: function.hasOrdinality ? "n" : "ordinality", type: .bigint)) }
        if let alias = call.alias, alias.columns.isEmpty, function.takesAlias, fields.count == (hasOrdinality ? 2 : 1) { fields[0].name = alias.name.text }
        var plan: Plan
        if function.nothing != nil {
            plan = .join(
                input, .values([], fields: fields), isOuter ? .left : .inner, condition: .literal(.boolean(true), .boolean), fields: input.fields + fields)
        } else if function.isComposite, let row = lists.first?.type.element {
            plan = Self.opened(input, lists, row, isOuter: isOuter, hasOrdinality: hasOrdinality, fields)
        } else {
            plan = .unnested(
                input, lists: lists, isOuter: isOuter, hasOrdinality: hasOrdinality, fields: input.fields + fields)
        }
        if input.fields.count > width {
            let given = plan.fields
            let kept = Array(0..<width) + Array(input.fields.count..<given.count)
            plan = .project(plan, kept.map { .column($0, given[$0].type) }, kept.map { given[$0] })
        }
        let (_, scope) = try aliased(.values([], fields: fields), call.alias, default: name)
        let whole = try left.map { (left) throws(SQLError) in try beside(left.1, scope, at: call.name.position) } ?? scope
        guard plan.fields.count <= SQLLimits.columnsMax else { throw tooManyColumns(at: call.name.position) }
        return (try counted(plan, at: call.name.position), whole)
    }

    /// Composite elements, each as the columns that its fields are.
    private static func opened(
        _ input: Plan, _ lists: [Expression], _ row: DataType, isOuter: Bool, hasOrdinality: Bool, _ fields: [Field]
    ) -> Plan {
        let width = input.fields.count
        let own = [Field(name: "row", type: row)] + (hasOrdinality ? [Field(name: "ordinality", type: .bigint)] : [])
        let rows = Plan.unnested(input, lists: lists, isOuter: isOuter, hasOrdinality: hasOrdinality, fields: input.fields + own)
        var columns = input.fields.enumerated().map { Expression.column($0.offset, $0.element.type) }
        for (place, field) in fields.enumerated() {
            columns.append(
                hasOrdinality && place == fields.count - 1
                    ? .column(width + 1, .bigint)
                    : .call(.field, [.column(width, row), .literal(.integer(Int32(place)), .integer)], field.type))
        }
        return .project(rows, columns, input.fields + fields)
    }

    private mutating func rowFunction(_ name: String, _ call: FromSyntax.Function, _ block: Block) throws(SQLError) -> RowFunction {
        let position = call.name.position
        var arguments: [Bound] = []
        for argument in call.arguments { arguments.append(try bind(argument, block)) }
        let positions = call.arguments.map(\.position)
        func array(_ function: String, _ count: Int? = nil) throws(SQLError) -> Expression {
            try resolved(function, Array(arguments.prefix(count ?? arguments.count)), positions, isOperator: false, at: position).expression
        }
        switch name {
        case "unnest":
            guard !arguments.isEmpty else { throw Self.noFunction("unnest()", at: position) }
            var lists: [Expression] = []
            for argument in arguments {
                if argument.isUntyped {
                    throw SQLError(.ambiguousFunction, "function unnest(unknown) is not unique", at: position)
                }
                guard argument.type.element != nil else { throw Self.noFunction("unnest(\(argument.type.sqlName))", at: position) }
                lists.append(argument.expression)
            }
            return RowFunction(lists: lists, names: lists.map { _ in "unnest" })
        case "_pg_expandarray":
            guard let first = arguments.first, first.type.element != nil else { throw Self.noFunction("_pg_expandarray", at: position) }
            return RowFunction(lists: [first.expression], names: ["x"], hasOrdinality: true, takesAlias: false)
        case "jsonb_each", "json_each", "jsonb_each_text", "json_each_text":
            guard arguments.count == 1 else { throw Self.noFunction(name, at: position) }
            let document = try coerce(arguments[0], to: .jsonb, at: positions[0]).expression
            let isText = name.hasSuffix("_text")
            return RowFunction(
                lists: [
                    .call(.jsonObjectKeys, [document], .array(.text)),
                    isText ? .call(.jsonObjectValuesText, [document], .array(.text)) : .call(.jsonObjectValues, [document], .array(.jsonb)),
                ], names: ["key", "value"], takesAlias: false)
        case "jsonb_path_query":
            let found = try resolved("jsonb_path_query_array", arguments, positions, isOperator: false, at: position).expression
            return RowFunction(lists: [.call(.jsonElements, [found], .array(.jsonb))], names: [name])
        case "jsonb_populate_recordset", "json_populate_recordset", "jsonb_to_record", "json_to_record", "jsonb_to_recordset", "json_to_recordset":
            return RowFunction(lists: [try records(name, call, arguments)], names: [name], isComposite: true)
        case "string_to_table": return RowFunction(lists: [try array("string_to_array")], names: [name])
        case "regexp_split_to_table": return RowFunction(lists: [try array("regexp_split_to_array")], names: [name])
        case "aclexplode":
            return RowFunction(
                lists: [], names: [], takesAlias: false,
                nothing: [
                    Field(name: "grantor", type: .bigint), Field(name: "grantee", type: .bigint), Field(name: "privilege_type", type: .text),
                    Field(name: "is_grantable", type: .boolean),
                ])
        case "pg_partition_tree":
            return RowFunction(
                lists: [], names: [], takesAlias: false,
                nothing: [
                    Field(name: "relid", type: .bigint), Field(name: "parentrelid", type: .bigint), Field(name: "isleaf", type: .boolean),
                    Field(name: "level", type: .integer),
                ])
        case "pg_get_keywords":
            let words = Keyword.allCases.sorted { $0.rawValue < $1.rawValue }
            func column(_ value: (Keyword) -> String) -> Expression {
                .literal(.array(ArrayValue(.text, words.map { .text(value($0)) })), .array(.text))
            }
            return RowFunction(
                lists: [
                    column { $0.rawValue }, column { $0.isReserved ? "R" : "U" }, column { $0.isReserved ? "reserved" : "unreserved" },
                ], names: ["word", "catcode", "catdesc"], takesAlias: false)
        case "pg_options_to_table", "pg_listening_channels", "pg_show_all_settings", "pg_timezone_names":
            let names: [String: [String]] = [
                "pg_options_to_table": ["option_name", "option_value"],
                "pg_timezone_names": ["name", "abbrev"], "pg_show_all_settings": ["name", "setting"],
            ]
            return RowFunction(lists: [], names: [], takesAlias: false, nothing: (names[name] ?? [name]).map { Field(name: $0, type: .text) })
        default: break
        }
        if name == "regexp_matches" { return RowFunction(lists: [try array(name)], names: [name], isComposite: true) }
        if ScalarFunction.setReturning.contains(name) {
            let isElements = name.contains("array_elements")
            return RowFunction(lists: [try array(name)], names: [isElements ? "value" : name], takesAlias: !isElements)
        }
        // A scalar function is a row of one column, a composite value one of its fields.
        var value = try self.call(CallSyntax(name: call.name, arguments: call.arguments, position: position), block).expression
        var isComposite = false
        if case .structure = value.type { isComposite = true }
        if value.type.element != nil {
            // An array of arrays would be another array.
            value = .call(.makeRow, [value], .structure([StructureField(name: name, type: value.type.withoutModifiers)]))
            isComposite = true
        }
        return RowFunction(
            lists: [.call(.makeArray, [value], .array(value.type.withoutModifiers))], names: [name], isComposite: isComposite)
    }

    /// Documents as rows of a composite type: that of the first argument, or of the alias' columns.
    private mutating func records(_ name: String, _ call: FromSyntax.Function, _ arguments: [Bound]) throws(SQLError) -> Expression {
        let position = call.name.position
        var base = Expression.literal(.null, .unknown)
        if name.contains("populate") {
            guard arguments.count == 2, case .structure = arguments[0].type else { throw Self.noFunction(name, at: position) }
            base = arguments[0].expression
        } else {
            guard arguments.count == 1 else { throw Self.noFunction(name, at: position) }
            guard let alias = call.alias, !alias.types.isEmpty else {
                throw .syntaxError("a column definition list is required for functions returning \"record\"", at: position)
            }
            var fields: [StructureField] = []
            for (column, type) in zip(alias.columns, alias.types) { fields.append(StructureField(name: column.text, type: try dataType(type))) }
            base = .literal(.null, .structure(fields))
        }
        guard let last = arguments.last, let syntax = call.arguments.last else { throw Self.noFunction(name, at: position) }
        let document = try coerce(last, to: .jsonb, at: syntax.position).expression
        let row = base.type.withoutModifiers
        if name.hasSuffix("recordset") { return .call(.jsonRecords, [base, document], .array(row)) }
        return .call(.makeArray, [.call(.jsonRecord, [base, document], row)], .array(row))
    }

    private static func noFunction(_ name: String, at position: Int) -> SQLError {
        SQLError(
            .undefinedFunction, "function \(name) does not exist", at: position,
            hint: "No function matches the given name and argument types. You might need to add explicit type casts.")
    }

    // MARK: In the select list

    /// A set-returning call as a column that `unnested` will put beside the input's.
    @inline(never)
    mutating func setCall(_ name: String, _ call: CallSyntax, _ block: Block) throws(SQLError) -> Bound {
        guard [.select, .groupBy, .orderBy].contains(block.clause) else {
            let isInCall = block.clause == .aggregate || block.clause == .over
            throw SQLError(
                .featureNotSupported,
                isInCall ? "\(block.clause.rawValue) cannot contain set-returning function calls"
                    : "set-returning functions are not allowed in \(block.clause.rawValue)", at: call.position,
                hint: isInCall ? "You might be able to move the set-returning function into a LATERAL FROM item." : nil)
        }
        guard guardDepth == 0 else {
            throw SQLError(
                .featureNotSupported, "set-returning functions are not allowed in CASE, COALESCE and conditions", at: call.position,
                hint: "You might be able to move the set-returning function into a LATERAL FROM item.")
        }
        let function = try rowFunction(
            name, FromSyntax.Function(name: call.name, arguments: call.arguments, alias: nil, hasOrdinality: false), block)
        if function.lists.count == 1, function.hasOrdinality {
            // A composite value of the element and its place.
            let list = function.lists[0]
            block.sets += [list, .call(.generateSubscripts, [list, .literal(.integer(1), .integer)], .array(.integer))]
            let element = list.type.element ?? .text
            let parts: [Expression] = [.column(Block.setBase + block.sets.count - 2, element), .column(Block.setBase + block.sets.count - 1, .integer)]
            return Bound(
                .call(.makeRow, parts, .structure([StructureField(name: "x", type: element), StructureField(name: "n", type: .integer)])))
        }
        guard !function.lists.isEmpty else { throw .notSupported("\(name) in a select list", at: call.position, hint: "Write it in FROM.") }
        // GROUP BY and ORDER BY mean the select list's own call, if it is there.
        let known = block.clause == .select || function.lists.contains(where: \.isVolatile) ? nil : block.sets.firstRange(of: function.lists)
        let first = known?.lowerBound ?? block.sets.count
        if known == nil { block.sets += function.lists }
        let parts = function.lists.enumerated().map { Expression.column(Block.setBase + first + $0.offset, $0.element.type.element ?? .text) }
        if parts.count > 1 {
            // Rows of several columns are composite values here.
            let fields = zip(function.names, parts).map { StructureField(name: $0, type: $1.type) }
            return Bound(.call(.makeRow, parts, .structure(fields)), size: parts.count + 1)
        }
        let row = Bound(parts[0])
        if name == "regexp_matches" { return try field(row, 0, at: call.position) }
        return row
    }

    /// `plan` with a row for each element of the block's set-returning calls `wanted`: those in arguments of others first, those
    /// that stand equally deep side by side. Answers the column of each call.
    mutating func unnested(
        _ plan: inout Plan, _ wanted: [Int], _ block: Block, at position: Int, _ placed: (Expression) -> Expression
    ) throws(SQLError) -> [Int: Int] {
        var places: [Int: Int] = [:]
        var left = wanted
        while !left.isEmpty {
            // A call's arguments name calls that were met before it, so some are ready.
            let known = places
            let ready = left.filter { block.setCalls(directlyIn: block.sets[$0]).allSatisfy { known[$0] != nil } }
            let lists = ready.map { Block.placingSets(placed(block.sets[$0]), known) }
            if lists.contains(where: { $0.columns.contains(where: Block.isUnplaced) }) {
                throw .notSupported(
                    "an aggregate or a subquery in a set-returning function that GROUP BY names", at: position,
                    hint: "Write the function in FROM.")
            }
            let width = plan.fields.count
            let fields = lists.map { Field(name: "set", type: $0.type.element ?? .text) }
            plan = try counted(.unnested(plan, lists: lists, isOuter: false, hasOrdinality: false, fields: plan.fields + fields), at: position)
            for (place, call) in ready.enumerated() { places[call] = width + place }
            left.removeAll { places[$0] != nil }
        }
        return places
    }
}

extension Block {
    /// The set-returning calls that an expression reads as columns, those in their arguments not included.
    func setCalls(directlyIn expression: Expression) -> [Int] {
        expression.columns.filter { $0 >= Block.setBase && $0 < Block.stampBase }.map { $0 - Block.setBase }
    }

    /// The set-returning calls that expressions read, and those in their arguments, in order.
    func setCalls(in expressions: [Expression]) -> [Int] {
        var found: Set<Int> = []
        var open = expressions.flatMap(setCalls(directlyIn:))
        while let call = open.popLast() {
            if found.insert(call).inserted { open += setCalls(directlyIn: sets[call]) }
        }
        return found.sorted()
    }

    /// An aggregate, a call with OVER or a subquery that is not in the plan yet.
    static func isUnplaced(_ ordinal: Int) -> Bool {
        ordinal >= aggregateBase && ordinal < outerBase || ordinal >= subqueryBase && ordinal < innerBase
    }

    /// `expression` with the columns that set-returning calls have got.
    static func placingSets(_ expression: Expression, _ places: [Int: Int]) -> Expression {
        if places.isEmpty { return expression }
        return expression.renumbered { $0 >= setBase && $0 < stampBase ? places[$0 - setBase] ?? $0 : $0 }
    }
}
