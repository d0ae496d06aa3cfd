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
        if let emit, case .emitOnWindowClose(let input) = plan, !input.isAppendOnly(in: catalog, onClose: true) {
            throw SQLError(
                .featureNotSupported, "EMIT ON WINDOW CLOSE needs rows that become final", at: emit,
                detail: "Rows of this query may be taken back at any time.",
                hint: "Join on event time: equal window_start or window_end, or times within an interval of each other.")
        }
        try check(plan, emit: emit, query)
    }

    private func check(_ plan: Plan, emit: Int?, _ query: QuerySyntax) throws(SQLError) {
        for input in plan.inputs { try check(input, emit: emit, query) }
        switch plan {
        case .window(let input, let time, _, let fields), .session(let input, let time, _, let fields):
            // Without EMIT ON WINDOW CLOSE a window's rows are known by their times alone; where a session ends is not.
            if emit == nil, case .window = plan { return }
            guard input.eventTimeColumns(in: catalog).contains(time) else {
                throw SQLError(
                    .featureNotSupported, "a window over \"\(fields[time].name)\" needs a watermark for it", at: query.position,
                    hint: Self.watermarkHint)
            }
        case .aggregate(let input, let keys, _, _, _):
            let eventTime = input.eventTimeColumns(in: catalog)
            if let emit, !keys.contains(where: { ($0.followedTime?.column).map(eventTime.contains) ?? false }) {
                throw SQLError(
                    .featureNotSupported, "EMIT ON WINDOW CLOSE needs window_start, window_end or the watermark's column in GROUP BY", at: emit,
                    hint: "Read the source through TUMBLE or HOP and group by window_start.")
            }
        case .over(let input, let partition, let order, let calls, _, _):
            guard let emit else { return }
            let eventTime = input.eventTimeColumns(in: catalog)
            func isTime(_ expression: Expression?) -> Bool { expression?.columnOrdinal.map(eventTime.contains) ?? false }
            if partition.contains(where: isTime) { return }
            guard isTime(order.first?.expression), order.first?.descending == false else {
                throw .notSupported(
                    "OVER that is not ordered by event time, ascending", at: emit,
                    hint: "ORDER BY the watermark's column or window_start first, or add window_start to PARTITION BY.")
            }
            if let call = calls.first(where: { !$0.isRunning && !$0.becomesFinal }) {
                throw .notSupported(
                    "\(call.function.sqlName) over rows without end, with EMIT ON WINDOW CLOSE", at: emit,
                    hint: "Let the frame end with the row or a fixed number of rows or time behind it, add window_start to PARTITION BY, or leave EMIT ON WINDOW CLOSE out.")
            }
        case .relation(let name, _):
            if catalog.relation(named: name)?.objectKind == .sequence {
                throw .notSupported("a view or sink over sequence \"\(CatalogNames.parts(name).name)\"", at: query.position)
            }
            if case .system? = catalog.relation(named: name)?.kind {
                throw .notSupported(
                    "a view or sink over \"\(CatalogNames.parts(name).name)\"", at: query.position, hint: "System views can be read by SELECT only.")
            }
        case .source, .view, .recursive, .filter, .project, .join, .temporal, .repeated, .unionAll, .values, .unnested, .emitOnWindowClose:
            break
        case .changelog: break
        case .lookup(_, _, let lookup, _, _) where lookup.nearest != nil:
            if emit != nil {
                throw SQLError(
                    .featureNotSupported, "EMIT ON WINDOW CLOSE over the nearest rows of a join is not supported yet", at: query.position,
                    hint: "Leave EMIT ON WINDOW CLOSE out: the result changes when a nearer row comes.")
            }
        case .lookup(let left, _, _, _, _):
            guard left.isAppendOnly(in: catalog, onClose: emit != nil) else {
                throw SQLError(
                    .featureNotSupported, "a join FOR SYSTEM_TIME AS OF PROCTIME() needs rows on its left that stay", at: query.position,
                    detail: "Rows on the left may be taken back, and what was joined to them then is not kept.")
            }
        case .stamped(let input, _):
            guard input.isAppendOnly(in: catalog, onClose: emit != nil) else {
                throw SQLError(
                    .featureNotSupported, "PROCTIME() of rows that change", at: query.position,
                    detail: "The time at which a row came is not kept for when it goes.",
                    hint: "It can be a column of the table: DEFAULT now().")
            }
        }
    }

    private func readsEventTime(_ plan: Plan) -> Bool {
        switch plan {
        case .source, .view, .relation: !plan.eventTimeColumns(in: catalog).isEmpty || sourceHasWatermark(plan)
        default: plan.inputs.contains(where: readsEventTime)
        }
    }

    /// The watermark counts even where projection pushdown has taken its column out.
    private func sourceHasWatermark(_ plan: Plan) -> Bool {
        guard case .source(let name, _, _) = plan, case .source(let source)? = catalog.relation(named: name)?.kind else { return false }
        return source.watermark != nil
    }
}

extension OverCall {
    /// Whether the result is known once some more rows, or rows of some later time, have come.
    package var becomesFinal: Bool {
        if ignoresNulls { return false }
        switch function {
        case .lead: return true
        case .firstValue, .lastValue, .nthValue, .aggregate: return frame.unit != .groups && frame.end != .unboundedFollowing && frame.exclusion == .noOthers
        case .lag, .rowNumber, .rank, .denseRank, .percentRank, .cumeDist, .ntile: return false
        }
    }

    /// Whether the result is known once the rows up to the current one, and its peers, are.
    package var isRunning: Bool {
        if ignoresNulls { return false }
        return switch function {
        case .lag, .rowNumber, .rank, .denseRank: filter == nil
        case .firstValue, .lastValue, .aggregate: frame.isRunning && filter == nil
        case .lead, .percentRank, .cumeDist, .ntile, .nthValue: false
        }
    }
}
