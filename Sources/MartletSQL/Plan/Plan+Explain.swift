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
    }

    private var title: String {
        let names = inputs.first?.fields.map(\.name) ?? []
        func sql(_ expression: Expression) -> String { expression.sql(names) }
        switch self {
        case .source(let name, _, let fields): return "Source \(quoted(name)) (\(Self.list(fields)))"
        case .relation(let name, let fields): return "Relation \(quoted(name)) (\(Self.list(fields)))"
        case .view(let name, let fields): return "View \(quoted(name)) (\(Self.list(fields)))"
        case .filter(_, let condition): return "Filter \(sql(condition))"
        case .project(_, let expressions, let fields):
            return "Project " + zip(expressions, fields).map { named(sql($0), $1.name) }.joined(separator: ", ")
        case .window(_, let time, let hop, _):
            let size = Value.interval(Interval(micros: hop.size)).text
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
        case .over(_, let partition, let order, let calls, let fields):
            var text = "Over " + zip(calls, fields.suffix(calls.count)).map { named($0.sql(names), $1.name) }.joined(separator: ", ")
            if !partition.isEmpty { text += " partition by " + partition.map(sql).joined(separator: ", ") }
            text += " order by " + order.map { sql($0.expression) + ($0.descending ? " DESC" : "") }.joined(separator: ", ")
            return text
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
        let argument = argument.map { $0.sql(names) } ?? "*"
        return "\(function.sqlName)(\(argument))" + (filter.map { " FILTER (WHERE \($0.sql(names)))" } ?? "")
    }
}

extension OverCall {
    func sql(_ names: [String]) -> String {
        var items = arguments.map { $0.sql(names) }
        if function == .lag {
            if distance != 1 || !defaultValue.isNull { items.append(String(distance)) }
            if !defaultValue.isNull { items.append(Expression.literal(defaultValue, type).sql([])) }
        }
        if function == .count, items.isEmpty { items = ["*"] }
        return "\(function.sqlName)(\(items.joined(separator: ", ")))" + (includesPeers ? " with peers" : "")
    }
}

/// A name as SQL has to write it.
func quoted(_ name: String) -> String {
    let isPlain = name.utf8.first.map { isIdentifierStart($0) && $0 < 0x80 } ?? false && name.utf8.allSatisfy { isIdentifierPart($0) && !($0 &- 65 < 26) }
    if isPlain, Keyword(rawValue: name)?.isReserved != true { return name }
    return "\"" + String(decoding: name.utf8.flatMap { $0 == UInt8(ascii: "\"") ? [$0, $0] : [$0] }, as: UTF8.self) + "\""
}
