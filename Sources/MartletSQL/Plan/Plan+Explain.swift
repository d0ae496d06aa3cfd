internal import MartletCore

extension Plan {
    /// The plan as an indented tree, inputs below what reads them, expressions as SQL. `rows`: how many rows a relation has, where
    /// that is known.
    package func explain(rows: (String) -> Int? = { _ in nil }) -> String {
        var lines: [String] = []
        describe(indent: 0, rows: rows, into: &lines)
        return lines.joined(separator: "\n") + "\n"
    }

    private func describe(indent: Int, rows: (String) -> Int?, into lines: inout [String]) {
        let prefix = String(repeating: "  ", count: indent)
        var line = prefix + title
        switch self {
        case .relation(let name, _), .view(let name, _): if let count = rows(name) { line += ", \(count) \(count == 1 ? "row" : "rows")" }
        default: break
        }
        lines.append(line)
        for input in inputs { input.describe(indent: indent + 1, rows: rows, into: &lines) }
        if case .recursive(let recursion, _) = self {
            recursion.base.describe(indent: indent + 1, rows: rows, into: &lines)
            lines.append(prefix + "  Then, as long as rows come" + (recursion.isDistinct ? " that are new" : ""))
            recursion.step.describe(indent: indent + 2, rows: rows, into: &lines)
        }
    }

    /// The plan's own node, on one line.
    package var title: String {
        let names = inputs.count == 2 ? inputs.flatMap(\.fields).map(\.name) : inputs.first?.fields.map(\.name) ?? []
        func sql(_ expression: Expression) -> String { expression.sql(names) }
        switch self {
        case .source(let name, _, let fields): return "Source \(quoted(name)) (\(Self.list(fields)))"
        case .relation(let name, let fields):
            let shown = PastRelation(name: name)?.title ?? quoted(String(name.prefix { $0 != "\n" }))
            return "Relation \(shown) (\(Self.list(fields)))"
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
            let isTime = [DataType.timestamp, .timestamptz].contains(order.first?.expression.type)
            var text = limit.map { "Top \($0.rank) by \($0.function.sqlName)" } ?? "Over"
            let shown = zip(calls, fields.suffix(calls.count)).map { named($0.sql(names, isOverTime: isTime), $1.name) }.joined(separator: ", ")
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
            return "Values \(rows.count) \(rows.count == 1 ? "row" : "rows") (\(Self.list(fields)))" + (fields.isEmpty ? "" : ": \(shown)\(rows.count > 3 ? ", …" : "")")
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
    /// - Parameter isOverTime: rows are ordered by a time, which distances of RANGE then mean.
    func sql(_ names: [String], isOverTime: Bool) -> String {
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
        return text + nulls + " \(frame.sql(isOverTime: isOverTime))"
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
    func sql(isOverTime: Bool) -> String {
        func distance(_ value: Int64) -> String {
            unit == .session || unit == .range && isOverTime ? "INTERVAL '\(Value.interval(Interval(micros: value)).text)'" : String(value)
        }
        func text(_ bound: Bound) -> String {
            switch bound {
            case .unboundedPreceding: "UNBOUNDED PRECEDING"
            case .currentRow: "CURRENT ROW"
            case .unboundedFollowing: "UNBOUNDED FOLLOWING"
            case .preceding(let value): "\(distance(value)) PRECEDING"
            case .following(let value): "\(distance(value)) FOLLOWING"
            }
        }
        if unit == .session, case .preceding(let gap) = start { return "SESSION WITH GAP \(distance(gap))" }
        let left = exclusion == .noOthers ? "" : " EXCLUDE \(exclusion.rawValue)"
        return "\(unit.rawValue) BETWEEN \(text(start)) AND \(text(end))\(left)"
    }
}
