/// What the word before the cursor may become: the shell's own commands, what the server has, or words of SQL.
struct ShellCompletion {
    struct Relation {
        var schema: String
        var name: String
        var columns: [String]
    }

    var relations: [Relation] = []
    var functions: [String] = []

    /// - Parameters:
    ///   - before: what the statement has so far, up to the word.
    ///   - word: the beginning of what is to be offered.
    func candidates(_ before: String, _ word: String) -> [String] {
        let blank = before.allSatisfy(\.isWhitespace)
        if blank, word.hasPrefix("\\") { return ShellCompletion.fitting(ShellCompletion.commands, word) }
        let words = before.split { $0.isWhitespace || ",;()=".contains($0) }.map { String($0) }
        if words.first?.hasPrefix("\\") == true { return words.count > 1 ? [] : ShellCompletion.fitting(names, word) }
        if let dot = word.lastIndex(of: ".") { return qualified(String(word[..<dot]), word, words) }
        let last = words.last?.uppercased() ?? ""
        if ShellCompletion.beforeRelations.contains(last), before.last != "(" { return ShellCompletion.fitting(names, word) }
        if blank { return ShellCompletion.fitting(ShellCompletion.beginnings, word) }
        let columns = mentioned(words).flatMap(\.columns)
        return ShellCompletion.fitting(columns + functions + ShellCompletion.keywords, word)
    }

    /// Relations as they would be written, those of the default schema without it.
    private var names: [String] {
        relations.map { ($0.schema == "public" || $0.schema == "pg_catalog" ? "" : ShellCompletion.quoted($0.schema) + ".") + ShellCompletion.quoted($0.name) }
    }

    /// Those that the statement has named so far; before it has named one, all that users made.
    private func mentioned(_ words: [String]) -> [Relation] {
        let found = relations.filter { relation in words.contains { $0 == relation.name || $0.hasSuffix("." + relation.name) } }
        return found.isEmpty ? relations.filter { $0.schema != "pg_catalog" } : found
    }

    /// Behind `schema.` its relations, behind a relation's name or its alias the columns.
    private func qualified(_ prefix: String, _ word: String, _ words: [String]) -> [String] {
        let inSchema = relations.filter { $0.schema == prefix }.map { prefix + "." + ShellCompletion.quoted($0.name) }
        let columns = relations.filter { relation in
            relation.name == prefix || words.indices.dropFirst().contains { words[$0] == prefix && words[$0 - 1] == relation.name }
        }
        return ShellCompletion.fitting(inSchema + columns.flatMap(\.columns).map { prefix + "." + $0 }, word)
    }

    /// In any case; what is offered keeps the case of the letters that stand there.
    private static func fitting(_ all: [String], _ word: String) -> [String] {
        let isLower = word.first?.isLowercase == true
        var seen: Set<String> = []
        return all.filter { $0.lowercased().hasPrefix(word.lowercased()) && seen.insert($0).inserted }
            .map { isLower && $0 == $0.uppercased() ? $0.lowercased() : $0 }
    }

    static func quoted(_ name: String) -> String {
        let isPlain = name.allSatisfy { $0.isASCII && ($0.isLowercase || $0.isNumber || $0 == "_") } && name.first?.isNumber == false
        return isPlain ? name : "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }

    /// A relation comes next.
    private static let beforeRelations: Set<String> = [
        "FROM", "JOIN", "INTO", "UPDATE", "TABLE", "VIEW", "DESCRIBE", "TO", "ON", "SOURCE", "SINK", "TRUNCATE", "COPY", "TUMBLE", "HOP",
    ]

    private static let commands = [
        "\\q", "\\d", "\\dt", "\\dv", "\\dm", "\\ds", "\\di", "\\df", "\\dn", "\\l", "\\x", "\\timing", "\\o", "\\i", "\\?",
    ]

    private static let beginnings = [
        "SELECT", "INSERT INTO", "UPDATE", "DELETE FROM", "CREATE", "DROP", "ALTER", "WITH", "EXPLAIN", "SHOW", "DESCRIBE", "SUBSCRIBE TO",
        "DECLARE", "FETCH", "FLUSH", "COPY", "BEGIN", "COMMIT", "ROLLBACK", "SET", "RESET", "TABLE", "VALUES", "TRUNCATE", "COMMENT ON", "CANCEL JOBS",
    ]

    private static let keywords = [
        "SELECT", "FROM", "WHERE", "GROUP BY", "ORDER BY", "HAVING", "LIMIT", "OFFSET", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN",
        "ON", "USING", "AS", "AND", "OR", "NOT", "NULL", "IS", "IN", "BETWEEN", "LIKE", "CASE", "WHEN", "THEN", "ELSE", "END", "DISTINCT",
        "UNION ALL", "VALUES", "SET", "RETURNING", "ANALYZE", "TABLE", "VIEW", "MATERIALIZED VIEW", "SOURCE", "SINK", "SUBSCRIPTION", "INDEX",
        "FUNCTION", "SCHEMA", "PRIMARY KEY", "WATERMARK FOR", "EMIT ON WINDOW CLOSE", "INTERVAL", "TUMBLE", "HOP", "SESSION", "OVER",
        "PARTITION BY", "FORMAT PLAIN ENCODE JSON", "WITH", "ASC", "DESC", "IF EXISTS", "IF NOT EXISTS", "CASCADE", "RENAME TO",
    ]
}
