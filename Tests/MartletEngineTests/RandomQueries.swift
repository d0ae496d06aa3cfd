import MartletCore

/// Random queries over sources a and b that mean the same in Martlet and DuckDB: all columns are BIGINT, named c0, c1, ….
struct RandomQueries {
    private var random: SplitMix64

    init(seed: UInt64) { random = SplitMix64(seed: seed) }

    private mutating func below(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }
    private mutating func pick<Item>(_ items: [Item]) -> Item { items[below(items.count)] }

    /// A query of about `depth` operators over one another.
    mutating func query(depth: Int) -> String { relation(depth).sql }

    private struct Relation {
        var sql: String
        var width: Int
    }

    private mutating func relation(_ depth: Int) -> Relation {
        if depth <= 0 {
            return Relation(sql: "SELECT key AS c0, value AS c1, id % 10 AS c2 FROM \(pick(["a", "b"]))", width: 3)
        }
        switch below(10) {
        case 0: return filtered(depth)
        case 1: return projected(depth)
        case 2, 3, 4: return joined(depth)
        case 5: return aggregated(depth)
        case 6: return combined(depth)
        case 7: return tested(depth)
        case 8: return ranked(depth)
        default: return measured(depth)
        }
    }

    // MARK: Expressions

    private mutating func column(_ width: Int, _ table: String) -> String { "\(table).c\(below(width))" }

    private mutating func expression(_ width: Int, _ table: String, depth: Int = 2) -> String {
        if depth == 0 || below(3) == 0 { return below(4) == 0 ? "\(below(7))" : column(width, table) }
        let (left, right) = (expression(width, table, depth: depth - 1), expression(width, table, depth: depth - 1))
        switch below(6) {
        case 0: return "(\(left) + \(right))"
        case 1: return "(\(left) - \(right))"
        case 2: return "(\(left) % \(2 + below(4)))"
        case 3: return "coalesce(\(left), \(right))"
        case 4: return "CASE WHEN \(predicate(width, table, depth: 0)) THEN \(left) ELSE \(right) END"
        default: return "nullif(\(left), \(below(5)))"
        }
    }

    private mutating func predicate(_ width: Int, _ table: String, depth: Int = 1) -> String {
        let (left, right) = (expression(width, table, depth: 1), expression(width, table, depth: 1))
        switch below(depth > 0 ? 8 : 5) {
        case 0: return "\(left) \(pick(["=", "<>", "<", "<=", ">", ">="])) \(right)"
        case 1: return "\(left) IS \(pick(["", "NOT "]))NULL"
        case 2: return "\(left) IN (\(below(4)), \(below(7)), 3)"
        case 3: return "\(left) BETWEEN \(below(4)) AND \(below(7))"
        case 4: return "\(left) IS DISTINCT FROM \(right)"
        case 5: return "(\(predicate(width, table, depth: depth - 1)) OR \(predicate(width, table, depth: depth - 1)))"
        case 6: return "(\(predicate(width, table, depth: depth - 1)) AND \(predicate(width, table, depth: depth - 1)))"
        default: return "NOT (\(predicate(width, table, depth: depth - 1)))"
        }
    }

    // MARK: Operators

    private mutating func filtered(_ depth: Int) -> Relation {
        let input = relation(depth - 1)
        return Relation(sql: "SELECT * FROM (\(input.sql)) r WHERE \(predicate(input.width, "r"))", width: input.width)
    }

    private mutating func projected(_ depth: Int) -> Relation {
        let input = relation(depth - 1)
        let width = 1 + below(3)
        let items = (0..<width).map { "CAST(\(expression(input.width, "r")) AS BIGINT) AS c\($0)" }
        return Relation(sql: "SELECT \(pick(["", "DISTINCT "]))\(items.joined(separator: ", ")) FROM (\(input.sql)) r", width: width)
    }

    private mutating func joined(_ depth: Int) -> Relation {
        let (left, right) = (relation(depth - 1 - below(2)), relation(depth - 2))
        var condition = "\(column(left.width, "l")) = \(column(right.width, "r"))"
        if below(3) == 0 { condition += " AND \(column(left.width, "l")) = \(column(right.width, "r"))" }
        if below(3) == 0 { condition += " AND \(column(left.width, "l")) < \(column(right.width, "r"))" }
        if below(4) == 0 { condition += " AND \(predicate(right.width, "r", depth: 0))" }
        let width = 2 + below(2)
        let items = (0..<width).map { "\($0 == 0 || below(2) == 0 ? column(left.width, "l") : column(right.width, "r")) AS c\($0)" }
        let kind = pick(["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"])
        return Relation(sql: "SELECT \(items.joined(separator: ", ")) FROM (\(left.sql)) l \(kind) (\(right.sql)) r ON \(condition)", width: width)
    }

    private mutating func aggregated(_ depth: Int) -> Relation {
        let input = relation(depth - 1)
        let key = column(input.width, "r")
        let calls = (1..<3).map { place -> String in
            let argument = expression(input.width, "r", depth: 1)
            let filter = below(4) == 0 ? " FILTER (WHERE \(predicate(input.width, "r", depth: 0)))" : ""
            return "CAST(\(pick(["count", "sum", "min", "max"]))(\(argument))\(filter) AS BIGINT) AS c\(place)"
        }
        let having = below(3) == 0 ? " HAVING count(*) > \(below(3))" : ""
        return Relation(
            sql: "SELECT \(key) AS c0, \(calls.joined(separator: ", ")) FROM (\(input.sql)) r GROUP BY \(key)\(having)", width: 3)
    }

    private mutating func combined(_ depth: Int) -> Relation {
        let (left, right) = (relation(depth - 1), relation(depth - 2))
        let kind = pick(["UNION", "UNION ALL", "INTERSECT", "INTERSECT ALL", "EXCEPT", "EXCEPT ALL"])
        let (first, second) = (column(left.width, "l"), column(left.width, "l"))
        let (third, fourth) = (column(right.width, "r"), column(right.width, "r"))
        return Relation(
            sql: "SELECT \(first) AS c0, \(second) AS c1 FROM (\(left.sql)) l \(kind) SELECT \(third) AS c0, \(fourth) AS c1 FROM (\(right.sql)) r",
            width: 2)
    }

    private mutating func tested(_ depth: Int) -> Relation {
        let (input, other) = (relation(depth - 1), relation(depth - 2))
        let test: String
        switch below(4) {
        case 0: test = "\(column(input.width, "l")) IN (SELECT \(column(other.width, "r")) FROM (\(other.sql)) r)"
        case 1: test = "\(column(input.width, "l")) NOT IN (SELECT \(column(other.width, "r")) FROM (\(other.sql)) r WHERE r.c0 > \(below(5)))"
        default:
            let condition = "\(column(other.width, "r")) = \(column(input.width, "l"))"
            test = "\(pick(["", "NOT "]))EXISTS (SELECT 1 FROM (\(other.sql)) r WHERE \(condition) AND \(predicate(other.width, "r", depth: 0)))"
        }
        return Relation(sql: "SELECT * FROM (\(input.sql)) l WHERE \(test)", width: input.width)
    }

    private mutating func ranked(_ depth: Int) -> Relation {
        let input = relation(depth - 1)
        let rank = pick(["rank", "dense_rank"])
        let order = "\(column(input.width, "r"))\(pick([" DESC NULLS LAST", " NULLS LAST"]))"
        let names = (0..<input.width).map { "c\($0)" }.joined(separator: ", ")
        return Relation(
            sql: "SELECT \(names) FROM (SELECT r.*, \(rank)() OVER (PARTITION BY \(column(input.width, "r")) ORDER BY \(order)) AS place FROM (\(input.sql)) r) q WHERE place \(pick(["<= 2", "= 1", "< 4"]))",
            width: input.width)
    }

    private mutating func measured(_ depth: Int) -> Relation {
        let (input, other) = (relation(depth - 1), relation(depth - 2))
        let condition = below(2) == 0 ? "" : " WHERE \(column(other.width, "r")) = \(column(input.width, "l"))"
        let call = "\(pick(["max", "min", "count"]))(\(column(other.width, "r")))"
        return Relation(
            sql: "SELECT l.c0 AS c0, (SELECT \(call) FROM (\(other.sql)) r\(condition)) AS c1 FROM (\(input.sql)) l", width: 2)
    }
}
