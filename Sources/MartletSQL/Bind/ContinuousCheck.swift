internal import MartletCore

/// Refuses continuous queries that could never emit, or whose state could not be kept right.
struct ContinuousCheck {
    let catalog: any CatalogReader

    private static let watermarkHint =
        "Declare one in CREATE SOURCE: WATERMARK FOR column AS column - INTERVAL '5 seconds', and keep that column in the query."

    func check(_ plan: Plan, _ query: QuerySyntax) throws(SQLError) {
        let emit = query.emitOnWindowClose
        if let emit, !readsEventTime(plan) {
            throw SQLError(
                .featureNotSupported, "EMIT ON WINDOW CLOSE needs a watermark", at: emit,
                detail: "Nothing this query reads says when a window is complete.", hint: Self.watermarkHint)
        }
        try check(plan, emit: emit, query)
    }

    private func check(_ plan: Plan, emit: Int?, _ query: QuerySyntax) throws(SQLError) {
        for input in plan.inputs { try check(input, emit: emit, query) }
        switch plan {
        case .window(let input, let time, _, let fields):
            guard input.eventTimeColumns(in: catalog).contains(time) else {
                throw SQLError(
                    .featureNotSupported, "a window over \"\(fields[time].name)\" needs a watermark for it", at: query.position,
                    hint: Self.watermarkHint)
            }
        case .aggregate(let input, let keys, _, _, _):
            let eventTime = input.eventTimeColumns(in: catalog)
            if let emit, !keys.contains(where: { $0.columnOrdinal.map(eventTime.contains) ?? false }) {
                throw SQLError(
                    .featureNotSupported, "EMIT ON WINDOW CLOSE needs window_start, window_end or the watermark's column in GROUP BY", at: emit,
                    hint: "Read the source through TUMBLE or HOP and group by window_start.")
            }
            // A filter that compares a window's bounds with other columns stays between window and aggregate.
            if case .filter(.window, _) = input {
                throw .notSupported(
                    "a condition that compares window_start or window_end below an aggregate", at: query.position,
                    hint: "Put it on the grouped result (HAVING), or into FILTER (WHERE …).")
            }
        case .over(let input, _, let order, _, _):
            guard let emit else {
                throw .notSupported(
                    "OVER in a query that emits on change", at: query.position, hint: "End the query with EMIT ON WINDOW CLOSE.")
            }
            guard case .column(let ordinal, _)? = order.first?.expression, order.first?.descending == false,
                input.eventTimeColumns(in: catalog).contains(ordinal)
            else {
                throw .notSupported(
                    "OVER that is not ordered by event time, ascending", at: emit, hint: "ORDER BY the watermark's column or window_start first.")
            }
        case .source, .relation, .view, .filter, .project, .unionAll, .values, .emitOnWindowClose: break
        }
    }

    private func readsEventTime(_ plan: Plan) -> Bool {
        switch plan {
        case .source, .view: !plan.eventTimeColumns(in: catalog).isEmpty || sourceHasWatermark(plan)
        default: plan.inputs.contains(where: readsEventTime)
        }
    }

    /// The watermark counts even where projection pushdown has taken its column out.
    private func sourceHasWatermark(_ plan: Plan) -> Bool {
        guard case .source(let name, _, _) = plan, case .source(let source)? = catalog.relation(named: name)?.kind else { return false }
        return source.watermark != nil
    }
}
