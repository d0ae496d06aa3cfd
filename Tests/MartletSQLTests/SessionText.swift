import MartletCore
import MartletSQL

/// Bound statements of sessions as text, for the golden files.
enum SessionText {
    static func describe(_ statement: SessionStatement) -> String {
        switch statement {
        case .createTable(let table, let rows): describe(table) + (rows.map { "\n" + $0.explain() } ?? "")
        case .insert(let insert): describe(insert)
        case .update(let update): "update \(update.table)\n" + update.rows.explain() + describe(update.returning, update.rows.fields.map(\.name))
        case .delete(let delete): "delete \(delete.table)\n" + delete.rows.explain() + describe(delete.returning, delete.rows.fields.map(\.name))
        case .createFunction(let function):
            "function \(function.name)(\(function.parameterTypes.map(\.sqlName).joined(separator: ", "))) returns \(function.result)"
        case .declareCursor(let name, let options, let query): "cursor \(name) \(options)\n" + query.explain()
        case .explainAnalyze(_, let options): "analyze \(options)"
        default: "\(statement)"
        }
    }

    private static func describe(_ table: TableDefinition) -> String {
        var text = "table \(table.name)\(table.isAppendOnly ? " append only" : "")"
        let names = table.columns.map(\.name)
        for column in table.columns {
            text += "\n  \(column.name) \(column.type)\(column.isNotNull ? " not null" : "")"
            if let value = column.defaultValue { text += " default \(value.sql(names))" }
            if let value = column.generated { text += " as \(value.sql(names))" }
            if let origin = column.origin { text += " from \(origin.role)" }
        }
        if !table.primaryKey.isEmpty { text += "\n  key \(table.primaryKey.map { names[$0] }.joined(separator: ", "))" }
        if let conflict = table.conflict { text += "\n  on conflict \(conflict.rawValue)" }
        if !table.versionColumns.isEmpty { text += " by \(table.versionColumns.map { names[$0] }.joined(separator: ", "))" }
        if let watermark = table.watermark { text += "\n  watermark \(names[watermark.column]) - \(watermark.delay) µs" }
        if let source = table.source { text += "\n  fed by \(source.connector) \(source.format)/\(source.encode.encoding)" }
        return text
    }

    private static func describe(_ insert: InsertStatement) -> String {
        let names = insert.rows.fields.map(\.name)
        var text = "insert \(insert.table)\n" + insert.rows.explain()
        if let conflict = insert.conflict {
            let both = names + names.map { "excluded." + $0 }
            text += "on conflict (\(conflict.target.map { names[$0] }.joined(separator: ", ")))"
            text += conflict.row.map { " row " + $0.map { $0.sql(both) }.joined(separator: ", ") } ?? " nothing"
            text += (conflict.condition.map { " where " + $0.sql(both) } ?? "") + "\n"
        }
        return text + describe(insert.returning, names)
    }

    private static func describe(_ returning: Returning?, _ names: [String]) -> String {
        guard let returning else { return "" }
        return "returning " + zip(returning.expressions, returning.fields).map { "\($0.sql(names)) as \($1.name)" }.joined(separator: ", ")
    }
}
