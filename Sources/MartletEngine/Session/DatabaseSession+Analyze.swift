internal import MartletColumns
internal import MartletCore
internal import MartletDataflow
internal import MartletSQL

/// EXPLAIN ANALYZE: rows, time and state of each operator, the busiest first.
extension DatabaseSession {
    /// Carries a statement out and tells what it took.
    func analyze(_ statement: BoundStatement, text: String) throws(SQLError) -> any RowCursor {
        let clock = database.surroundings.clock
        let start = clock.monotonicNanos()
        var lines: [String] = []
        switch statement {
        case .select(let query):
            var run = self.run(try inputs(of: query.plan))
            var operators: [AnalyzedOperator] = []
            run.onEnd = { circuit in
                let figures = circuit.figures
                operators = circuit.graph.nodes.enumerated().map { AnalyzedOperator($1.name, $1.detail, figures[$0]) }
            }
            let rows = try run.rows(query).reduce(0) { $0 + $1.count }
            let nanos = clock.monotonicNanos() - start
            if !operators.isEmpty { lines += ["Operators, the busiest first:"] + AnalyzedOperator.lines(operators, ofNanos: nanos) + ["Plan:"] }
            lines += query.explain(in: boundCatalog().sql).split(separator: "\n").map(String.init) + ["Rows: \(rows)"]
        default:
            let outcome = try carryOut(statement, text: text)
            if case .done(let tag) = outcome { lines = [tag] }
        }
        let micros = (clock.monotonicNanos() - start) / 1000
        lines.append("Execution Time: \(micros / 1000).\(String(micros % 1000 + 1000).dropFirst()) ms")
        return list(["QUERY PLAN"], lines.map { [$0] }, tag: "EXPLAIN")
    }

    /// What a view or sink that runs has taken since it began.
    func analyzeRunning(_ kind: ObjectKind, _ name: String) throws(SQLError) -> any RowCursor {
        guard let object = boundCatalog()[name] else { throw DatabaseSession.unknown(name) }
        let observation = database.observer.ask(signal) { database.surroundings.wake() }
        guard let observation, let unit = observation.unit(of: object.id) else {
            throw SQLError(
                .wrongObjectType, "\"\(name)\" does not run", hint: "EXPLAIN ANALYZE takes materialized views, sinks, and tables with a connector.")
        }
        let shown = unit.operators.filter { $0.view == nil || $0.view == name || $0.view == "rows of table \(name)" || $0.view == "rows of sink \(name)" }
        let operators = shown.map { AnalyzedOperator($0.name, $0.detail, $0.figures) }
        let whole = unit.ageNanos.multipliedReportingOverflow(by: Int64(unit.shards)).partialValue
        let busy = unit.shares(of: shown.reduce(NodeFigures()) { $0 + $1.figures })
        var lines = ["Operators, the busiest first:"] + AnalyzedOperator.lines(operators, ofNanos: whole)
        lines.append(
            "Since \(Standstill.time(unit.ageNanos)): busy \(AnalyzedOperator.percent(busy.busy)), idle \(AnalyzedOperator.percent(busy.idle)), "
                + "backpressured \(AnalyzedOperator.percent(busy.backpressured)), on \(Standstill.count(unit.shards, "shard"))")
        if let failure = unit.failure { lines.append("Failed: \(failure.message)") }
        return list(["QUERY PLAN"], lines.map { [$0] }, tag: "EXPLAIN")
    }
}

/// An operator and what it took.
private struct AnalyzedOperator {
    let text: String
    let figures: NodeFigures

    /// - Parameter detail: the part of the plan that it belongs to; of those with several operators each says what it is there for.
    init(_ name: String, _ detail: String, _ figures: NodeFigures) {
        let isTold = detail.lowercased().hasPrefix(name.lowercased()) || ["Source", "Relation", "View"].contains { detail.hasPrefix("\($0) \(name) ") }
        text = detail.isEmpty ? "Input \(name.prefix { $0 != "\n" })" : isTold ? detail : "\(name) for \(detail)"
        self.figures = figures
    }

    private static let heading = ["share", "time", "rows in", "rows out", "state", "operator"]

    /// A line each below a heading, in columns; of those that took equally long in the graph's order.
    static func lines(_ operators: [AnalyzedOperator], ofNanos whole: Int64) -> [String] {
        let sorted = operators.enumerated().sorted { ($1.element.figures.busyNanos, $0.offset) < ($0.element.figures.busyNanos, $1.offset) }
        let cells = [heading] + sorted.map { _, each -> [String] in
            let figures = each.figures
            let state = figures.state == .none ? "" : "\(figures.state.rows) \(figures.state.rows == 1 ? "row" : "rows"), \(size(figures.state.bytes))"
            return [
                percent(Double(figures.busyNanos) / Double(max(whole, 1))), "\(millis(figures.busyNanos)) ms", "\(figures.rowsIn)",
                "\(figures.rowsOut)", state, each.text,
            ]
        }
        let widths = (0..<5).map { column in cells.map { $0[column].count }.max() ?? 0 }
        return cells.map { row in
            let columns = (0..<5).map { String(repeating: " ", count: widths[$0] - row[$0].count) + row[$0] }
            return "  " + (columns + [row[5]]).joined(separator: "  ")
        }
    }

    static func percent(_ share: Double) -> String {
        let tenths = Int((min(max(share, 0), 1) * 1000).rounded())
        return "\(tenths / 10).\(tenths % 10) %"
    }

    private static func millis(_ nanos: Int64) -> String {
        let micros = nanos / 1000
        return "\(micros / 1000).\(String(micros % 1000 + 1000).dropFirst())"
    }

    private static func size(_ bytes: Int) -> String {
        bytes < 10 << 10 ? "\(bytes) B" : bytes < 10 << 20 ? "\(bytes >> 10) kB" : "\(bytes >> 20) MB"
    }
}
