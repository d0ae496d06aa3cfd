internal import MartletCore

extension Plan {
    /// The plan as an indented tree, inputs below what reads them, expressions as SQL.
    package func explain() -> String {
        var lines: [String] = []
        describe(indent: 0, into: &lines)
        return lines.joined(separator: "\n") + "\n"
    }

    private func describe(indent: Int, into lines: inout [String]) {
        let prefix = String(repeating: "  ", count: indent)
        lines.append(prefix + title)
        for input in inputs { input.describe(indent: indent + 1, into: &lines) }
        if case .recursive(let recursion, _) = self {
            recursion.base.describe(indent: indent + 1, into: &lines)
            lines.append(prefix + "  Then, as long as rows come" + (recursion.isDistinct ? " that are new" : ""))
            recursion.step.describe(indent: indent + 2, into: &lines)
        }
    }

    /// The plan's own node, on one line.
    package var title: String {
        let names = inputs.count == 2 ? inputs.flatMap(\.fields).map(\.name) : inputs.first?.fields.map(\.name) ?? []
        func sql(_ expression: Expression) -> String { expression.sql(names) }
        switch self {
        case .source(let name, _, let fields): return "Source \(quoted(name)) (\(Self.list(fields)))"
        case .relation(let name, let fields): return "Relation \(quoted(String(name.prefix { $0 != "\n" }))) (\(Self.list(fields)))"
        case .recursive(let recursion, let fields):
            let name = recursion.name.prefix { $0 != "\n" }
            return "Recursive \(quoted(String(name))) (\(Self.list(fields)))"
        case .view(let name, let fields): return "View \(quoted(name)) (\(Self.list(fields)))"
        case .filter(_, let condition): return "Filter \(sql(condition))"
        case .project(_, let expressions, let fields):
            return "Project " + zip(expressions, fields).map { named(sql($0), $1.name) }.joined(separator: ", ")
        case .window(_, let time, let hop, _):
            let size = Value.interval(Interval(micros: hop.size)).text
            if hop.isCumulative {
                let step = Value.interval(Interval(micros: hop.hop)).text
                let offset = hop.offset == 0 ? "" : ", offset \(Value.interval(Interval(micros: hop.offset)).text)"
                return "Cumulate \(quoted(names[time])), step \(step), size \(size)\(offset)"
            }
            var text = hop.hop == hop.size ? "Tumble \(quoted(names[time])), size \(size)" : "Hop \(quoted(names[time])), hop \(Value.interval(Interval(micros: hop.hop)).text), size \(size)"
            if hop.offset != 0 { text += ", offset \(Value.interval(Interval(micros: hop.offset)).text)" }
            return text
        case .aggregate(_, let keys, let calls, let window, let fields):
            var parts: [String] = []
            if !calls.isEmpty {
                parts.append(zip(calls, fields.dropFirst(keys.count)).map { named($0.sql(names), $1.name) }.joined(separator: ", "))
            }
            if !keys.isEmpty { parts.append("by " + keys.map(sql).joined(separator: ", ")) }
            let bounds = [window?.startKey, window?.endKey].compactMap { $0 }.map { quoted(fields[$0].name) }
            if !bounds.isEmpty { parts.append("per window " + bounds.joined(separator: ", ")) }
            return "Aggregate " + parts.joined(separator: " ")
        case .over(_, let partition, let order, let calls, let limit, let fields):
            var text = limit.map { "Top \($0.rank) by \($0.function.sqlName)" } ?? "Over"
            let shown = zip(calls, fields.suffix(calls.count)).map { named($0.sql(names), $1.name) }.joined(separator: ", ")
            if !shown.isEmpty { text += " " + shown }
            if !partition.isEmpty { text += " partition by " + partition.map(sql).joined(separator: ", ") }
            if !order.isEmpty {
                text += " order by " + order.map { sql($0.expression) + ($0.descending ? " DESC" : "") }.joined(separator: ", ")
            }
            return text
        case .session(_, let time, let session, _):
            let gap = Value.interval(Interval(micros: session.gap)).text
            let partition = session.partition.map { quoted(names[$0]) }.joined(separator: ", ")
            return "Session \(quoted(names[time])), gap \(gap)" + (partition.isEmpty ? "" : " partition by \(partition)")
        case .join(_, _, let type, let condition, _): return "Join \(type.rawValue) on \(sql(condition))"
        case .temporal(_, let from, let until):
            return "Valid" + (from.map { " from \(sql($0))" } ?? "") + (until.map { " until \(sql($0))" } ?? "")
        case .repeated(_, let times): return "Repeat \(sql(times)) times"
        case .unnested(_, let lists, let isOuter, let hasOrdinality, let fields):
            let shown = zip(lists, fields.suffix(lists.count + (hasOrdinality ? 1 : 0))).map { named(sql($0), $1.name) }
            return "Unnest \(isOuter ? "left " : "")\(shown.joined(separator: ", "))\(hasOrdinality ? " with ordinality" : "")"
        case .lookup(_, _, let lookup, let condition, _):
            let word = lookup.isOuter ? "left " : ""
            guard let nearest = lookup.nearest else { return "Look up \(word)on \(sql(condition))" }
            let sign = (nearest.isBackward ? ">" : "<") + (nearest.isStrict ? "" : "=")
            return "Join \(word)the nearest on \(sql(condition)), \(sql(nearest.left)) \(sign) \(sql(nearest.right))"
        case .changelog(_, let key, _):
            return "Changelog" + (key.isEmpty ? "" : " by " + key.map { quoted(names[$0]) }.joined(separator: ", "))
        case .stamped(_, let fields): return "Stamp \(quoted(fields.last?.name ?? ""))"
        case .unionAll(let arms, _): return "Union all of \(arms.count)"
        case .values(let rows, let fields):
            let shown = rows.prefix(3).map { "(" + $0.map(sql).joined(separator: ", ") + ")" }.joined(separator: ", ")
            return "Values \(rows.count) rows (\(Self.list(fields)))" + (fields.isEmpty ? "" : ": \(shown)\(rows.count > 3 ? ", …" : "")")
        case .emitOnWindowClose: return "Emit on window close"
        }
    }

    private static func list(_ fields: [Field]) -> String {
        fields.map { "\(quoted($0.name)) \($0.type.sqlName)" }.joined(separator: ", ")
    }

    private func named(_ text: String, _ name: String) -> String {
        let shown = quoted(name)
        return text == shown ? text : "\(text) AS \(shown)"
    }
}

extension AggregateCall {
    func sql(_ names: [String]) -> String {
        var items: [Expression] = argument.map { [$0] } ?? []
        if options.packed > 0, case .call(.makeRow, let fields, _)? = argument { items = fields }
        var text = argument == nil ? "*" : items.prefix(max(options.packed, 1)).map { $0.sql(names) }.joined(separator: ", ")
        if options.isDistinct { text = "DISTINCT " + text }
        let keys = options.packed > 0 ? Array(items.dropFirst(options.packed)) : items
        if !function.isOrderedSet, !options.order.isEmpty {
            text += " ORDER BY " + zip(keys, options.order).map { $0.sql(names) + ($1.isDescending ? " DESC" : "") }.joined(separator: ", ")
        }
        if !options.constants.isEmpty { text += ", " + options.constants.map(\.text).joined(separator: ", ") }
        return "\(function.sqlName)(\(text))" + (filter.map { " FILTER (WHERE \($0.sql(names)))" } ?? "")
    }
}

extension OverCall {
    func sql(_ names: [String]) -> String {
        var items = arguments.map { $0.sql(names) }
        switch function {
        case .lag, .lead:
            if distance != 1 || !defaultValue.isNull { items.append(String(distance)) }
            if !defaultValue.isNull { items.append(Expression.literal(defaultValue, type).sql([])) }
        case .ntile, .nthValue: items.append(String(distance))
        case .aggregate(let function): if function == .countAll { items = ["*"] }
        case .rowNumber, .rank, .denseRank, .percentRank, .cumeDist, .firstValue, .lastValue: break
        }
        let text = "\(function.sqlName)(\(items.joined(separator: ", ")))" + (filter.map { " FILTER (WHERE \($0.sql(names)))" } ?? "")
        let nulls = ignoresNulls ? " IGNORE NULLS" : ""
        guard function.readsFrame, frame != .standard else { return text + nulls }
        return text + nulls + " \(frame.sql)"
    }
}

/// A name as SQL has to write it.
func quoted(_ name: String) -> String {
    let isPlain = name.utf8.first.map { isIdentifierStart($0) && $0 < 0x80 } ?? false && name.utf8.allSatisfy { isIdentifierPart($0) && !($0 &- 65 < 26) }
    if isPlain, Keyword(rawValue: name)?.isReserved != true { return name }
    return "\"" + String(decoding: name.utf8.flatMap { $0 == UInt8(ascii: "\"") ? [$0, $0] : [$0] }, as: UTF8.self) + "\""
}

extension OverFunction {
    /// Whether its result depends on the frame.
    package var readsFrame: Bool {
        switch self {
        case .firstValue, .lastValue, .nthValue, .aggregate: true
        case .lag, .lead, .rowNumber, .rank, .denseRank, .percentRank, .cumeDist, .ntile: false
        }
    }
}

extension WindowFrame {
    var sql: String {
        if unit == .session, case .preceding(let gap) = start { return "SESSION WITH GAP \(gap) µs" }
        return "\(unit.rawValue) BETWEEN \(Self.sql(start)) AND \(Self.sql(end))"
    }

    private static func sql(_ bound: Bound) -> String {
        switch bound {
        case .unboundedPreceding: "UNBOUNDED PRECEDING"
        case .currentRow: "CURRENT ROW"
        case .unboundedFollowing: "UNBOUNDED FOLLOWING"
        case .preceding(let distance): "\(distance) PRECEDING"
        case .following(let distance): "\(distance) FOLLOWING"
        }
    }
}

// MARK: State

extension Plan {
    /// The plan as text, followed by what its state depends on where nothing bounds it.
    package func explain(in catalog: any CatalogReader) -> String {
        let notes = unboundedState(in: catalog)
        return explain() + notes.map { "State without bound: \($0)\n" }.joined()
    }

    /// What would grow for as long as rows come: one sentence per node, from the top down.
    package func unboundedState(in catalog: any CatalogReader, onClose: Bool = false) -> [String] {
        var notes: [String] = []
        switch self {
        case .emitOnWindowClose(let input): return input.unboundedState(in: catalog, onClose: true)
        case .join(let left, let right, _, let condition, _):
            let bound = JoinCondition(condition, leftWidth: left.fields.count)
                .bound(left.eventTimeColumns(in: catalog), right.eventTimeColumns(in: catalog))
            let moving = [left, right].filter(\.readsStream)
            if bound == nil, !moving.isEmpty {
                let each = moving.map { "\(Plan.stateBytes($0.fields))" }.joined(separator: " and ")
                notes.append("the join keeps every row of \(moving.count == 2 ? "both inputs" : "one input"), about \(each) bytes each")
            }
        case .aggregate(let input, let keys, _, _, let fields):
            let times = input.eventTimeColumns(in: catalog)
            let isTimed = keys.contains { ($0.followedTime?.column).map(times.contains) ?? false }
            if !keys.isEmpty, input.readsStream, !isTimed {
                let names = fields.prefix(keys.count).map { quoted($0.name) }.joined(separator: ", ")
                notes.append("the aggregation keeps a group for each \(names), about \(Plan.stateBytes(fields)) bytes each")
            }
        case .over(let input, let partition, let order, _, let limit, _):
            let times = input.eventTimeColumns(in: catalog)
            func isTime(_ expression: Expression?) -> Bool { expression?.columnOrdinal.map(times.contains) ?? false }
            let isBound = partition.contains(where: isTime) || onClose && isTime(order.first?.expression)
            if input.readsStream, !isBound {
                let what = limit == nil || !input.isAppendOnly(in: catalog, onClose: onClose) ? "every row" : "\(limit?.rank ?? 0) rows a partition"
                notes.append("OVER keeps \(what), about \(Plan.stateBytes(input.fields)) bytes each")
            }
        case .source, .relation, .view, .recursive, .filter, .project, .window, .session, .temporal, .repeated, .unionAll, .values, .unnested, .lookup,
            .changelog, .stamped:
            break
        }
        return notes + inputs.flatMap { $0.unboundedState(in: catalog, onClose: onClose) }
    }

    /// About what a row takes where it is kept: its values, a place in an index, and what links it to its key.
    private static func stateBytes(_ fields: [Field]) -> Int {
        fields.reduce(40) { sum, field in
            switch field.type {
            case .boolean, .smallint, .integer, .bigint, .real, .double, .date, .time, .timestamp, .timestamptz: sum + 8
            // Long values lie outside of the row, and are not known here.
            default: sum + 24
            }
        }
    }

    var readsSource: Bool {
        if case .source = self { return true }
        return inputs.contains(where: \.readsSource)
    }

    /// Whether rows keep coming.
    private var readsStream: Bool {
        switch self {
        case .source, .relation, .view: true
        default: inputs.contains(where: \.readsStream)
        }
    }
}
