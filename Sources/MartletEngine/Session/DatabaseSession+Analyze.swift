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
            lines += query.explain().split(separator: "\n").map(String.init) + ["Rows: \(rows)"]
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

    init(_ name: String, _ detail: String, _ figures: NodeFigures) {
        let isTold = detail.isEmpty || detail.lowercased().hasPrefix(name.lowercased())
        text = isTold ? (detail.isEmpty ? name : detail) : "\(name) of \(detail)"
        self.figures = figures
    }

    /// One line each, in columns; of those that took equally long in the graph's order.
    static func lines(_ operators: [AnalyzedOperator], ofNanos whole: Int64) -> [String] {
        let sorted = operators.enumerated().sorted { ($1.element.figures.busyNanos, $0.offset) < ($0.element.figures.busyNanos, $1.offset) }
        let cells = sorted.map { _, each -> [String] in
            let figures = each.figures
            let state = figures.state == .none ? "" : "state \(figures.state.rows) rows, \(size(figures.state.bytes))"
            return [
                percent(Double(figures.busyNanos) / Double(max(whole, 1))), "\(millis(figures.busyNanos)) ms", "\(figures.rowsIn) in", "\(figures.rowsOut) out",
                state, each.text,
            ]
        }
        let widths = (0..<5).map { column in cells.map { $0[column].count }.max() ?? 0 }
        return cells.map { row in
            let columns = (0..<5).compactMap { column -> String? in
                guard widths[column] > 0 else { return nil }
                let pad = String(repeating: " ", count: widths[column] - row[column].count)
                return column == 4 ? row[column] + pad : pad + row[column]
            }
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
