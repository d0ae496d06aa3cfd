internal import MartletColumns
internal import MartletCore
internal import MartletDataflow
internal import MartletSQL
internal import MartletState

// MARK: Order by event time

extension Lowering {
    /// Whether a plan's results already wait for the watermark below its top.
    static func holdsBack(_ plan: Plan) -> Bool {
        switch plan {
        case .aggregate, .over, .session: true
        case .filter(let input, _), .project(let input, _, _), .window(let input, _, _, _), .temporal(let input, _, _),
            .repeated(let input, _), .unnested(let input, _, _, _, _), .lookup(let input, _, _, _, _), .changelog(let input, _, _),
            .stamped(let input, _):
            holdsBack(input)
        case .join(let left, let right, _, _, _): holdsBack(left) && holdsBack(right)
        case .unionAll(let inputs, _): inputs.allSatisfy { holdsBack($0) }
        case .source, .relation, .view, .recursive, .values, .emitOnWindowClose: false
        }
    }

    /// Plain rows under EMIT ON WINDOW CLOSE: they leave when the watermark passes them.
    mutating func lowerRelease(_ below: Lowered, view: Int) throws(SQLError) -> Lowered {
        let known = below.watermarks.filter { !$0.value.isOptional }
        let times = (known.isEmpty ? below.watermarks : known).sorted { ($0.value.delay, $0.key) < ($1.value.delay, $1.key) }
        guard let (time, watermark) = times.first else {
            throw SQLError(
                .featureNotSupported, "EMIT ON WINDOW CLOSE needs a column with a watermark in the result",
                hint: "Select the column that the source's WATERMARK clause names.")
        }
        // Of a full join's rows some have the one side's time and some the other's.
        let type = below.fields[time].type
        let alike = known.isEmpty ? times.filter { below.fields[$0.key].type == type } : []
        guard alike.count > 1 else { return release(below, time, watermark, width: below.fields.count, view: view) }
        let own = below.fields.enumerated().map { Expression.column($0.offset, $0.element.type) }
        let either = Expression.coalesce(alike.map { own[$0.key] }, type)
        let projected = project(below, own + [either], below.fields + [Field(name: "", type: type)], view: view)
        let latest = alike.map(\.value).max { $0.delay < $1.delay } ?? watermark
        return release(projected, own.count, latest, width: own.count, view: view)
    }

    private mutating func release(_ below: Lowered, _ time: Int, _ watermark: ColumnWatermark, width: Int, view: Int) -> Lowered {
        release(
            below, width: width, fields: Array(below.fields.prefix(width)), partition: [],
            order: [SortedRelease.Order(column: time, descending: false, nullsFirst: false)], calls: [], watermark: watermark, view: view,
            node: below.node)
    }

    /// A node with OVER.
    struct OverPlan {
        var partition: [Expression]
        var order: [SortKey]
        var calls: [OverCall]
        var limit: RankLimit?
        var fields: [Field]
    }

    /// What OVER reads, as columns behind the input's own.
    private struct OverColumns {
        var expressions: [Expression]
        var partition: [Int] = []
        var order: [SortedRelease.Order] = []

        init(_ fields: [Field], _ over: OverPlan) {
            expressions = fields.enumerated().map { Expression.column($0.offset, $0.element.type) }
            for key in over.partition { partition.append(place(key)) }
            for key in over.order {
                order.append(SortedRelease.Order(column: place(key.expression), descending: key.descending, nullsFirst: key.nullsFirst))
            }
        }

        mutating func place(_ expression: Expression) -> Int {
            if let at = expressions.firstIndex(of: expression) { return at }
            expressions.append(expression)
            return expressions.count - 1
        }
    }

    mutating func lowerOver(_ input: Plan, _ over: OverPlan, view: Int, onClose: Bool) throws(SQLError) -> Lowered {
        var below = try lower(input, view: view, onClose: onClose)
        let timed = over.partition.compactMap(\.column).first { below.watermarks[$0] != nil }
        if onClose, timed == nil {
            guard below.isAppendOnly else {
                throw SQLError(.featureNotSupported, "OVER with EMIT ON WINDOW CLOSE over rows that change is not supported yet")
            }
            guard let first = over.order.first, let time = first.expression.column, !first.descending,
                let watermark = below.watermarks[time], !watermark.isOptional, over.calls.allSatisfy({ $0.isRunning || $0.becomesFinal })
            else {
                throw SQLError(
                    .featureNotSupported, "OVER must be ordered by a column with a watermark, ascending",
                    hint: "ORDER BY the column that the source's WATERMARK clause names, or window_start or window_end; behind an outer join that of the side whose rows all stay.")
            }
            if over.calls.allSatisfy(\.isRunning) { return lowerRunning(below, over, watermark, view: view) }
            return lowerFrames(below, over, time, watermark, view: view)
        }
        admit(&below, time: onClose ? timed : nil, view: view)
        var columns = OverColumns(below.fields, over)
        var calls = over.calls.map { call in
            OverFunctionCall(
                kind: Lowering.kind(call), argument: call.arguments.first.map { columns.place($0) },
                filter: call.filter.map { columns.place($0) }, type: call.type, frame: Lowering.frame(call.frame),
                ignoresNulls: call.ignoresNulls)
        }
        let shown = Array(calls.indices)
        var limit: (call: Int, rank: Int64)?
        if let wanted = over.limit {
            let kind = Lowering.kind(OverCall(function: wanted.function, arguments: [], type: .bigint))
            let place = calls.firstIndex { $0.kind == kind } ?? calls.count
            if place == calls.count { calls.append(OverFunctionCall(kind: kind, argument: nil, type: .bigint, frame: .standard)) }
            limit = (place, wanted.rank)
        }
        let projected = project(below, columns.expressions, columns.expressions.map { Field(name: "", type: $0.type) }, view: view)
        let exchanged = graph.addExchange(projected.node, keys: columns.partition)
        let owners = Set(over.partition.compactMap(\.column))
        // Rows of one content are one partition's, at its owner; one row comes or goes as one.
        let isNet = owners.count == over.partition.count
        if over.limit == RankLimit(function: .rowNumber, rank: 1), over.calls.isEmpty, below.isAppendOnly, !onClose {
            let first = FirstRows.Layout(
                types: columns.expressions.map(\.type), width: below.fields.count, partition: columns.partition, order: columns.order)
            return Lowered(
                node: graph.addOperator("first", inputs: [exchanged]) { _ in FirstRows(first) }, fields: over.fields,
                watermarks: below.watermarks.filter { owners.contains($0.key) }, isSourceRows: false, isAppendOnly: false, lateness: 0,
                isNet: isNet)
        }
        let completion: OverPartitions.Completion =
            timed.map { time in
                let watermark = below.watermarks[time] ?? ColumnWatermark(delay: .max, isExclusive: false)
                return .column(time, delay: watermark.delay, isExclusive: watermark.isExclusive)
            } ?? .never
        let layout = OverPartitions.Layout(
            types: columns.expressions.map(\.type), width: below.fields.count, partition: columns.partition, order: columns.order,
            calls: calls, shown: shown, limit: limit, completion: completion, isChanging: !below.isAppendOnly,
            emission: onClose ? .onClose : .onChange)
        let node = graph.addOperator(over.limit == nil ? "over" : "top", inputs: [exchanged]) {
            OverPartitions(layout, view: view, context: $0)
        }
        // Rows leave late, but not later than their partition's time allows.
        return Lowered(
            node: node, fields: over.fields, watermarks: below.watermarks.filter { owners.contains($0.key) }, isSourceRows: false,
            isAppendOnly: onClose, lateness: 0, isNet: isNet && layout.replacesRows)
    }

    /// Running functions over rows in the order of event time.
    private mutating func lowerRunning(_ below: Lowered, _ over: OverPlan, _ watermark: ColumnWatermark, view: Int) -> Lowered {
        var columns = OverColumns(below.fields, over)
        let running = over.calls.map { call in
            SortedRelease.Call(
                function: Lowering.running(call), argument: call.arguments.first.map { columns.place($0) }, type: call.type,
                includesPeers: call.function.readsFrame && call.function != .firstValue && call.frame.unit != .rows)
        }
        let projected = project(
            below, columns.expressions, columns.expressions.map { Field(name: "", type: $0.type) }, view: view)
        let exchanged = graph.addExchange(projected.node, keys: columns.partition)
        return release(
            projected, width: below.fields.count, fields: over.fields, partition: columns.partition, order: columns.order, calls: running,
            watermark: watermark, view: view, node: exchanged)
    }

    /// Functions of frames that reach behind the row, over rows in the order of event time: running ones first, as the rows
    /// leave in order, then those that wait for more of them.
    private mutating func lowerFrames(
        _ below: Lowered, _ over: OverPlan, _ time: Int, _ watermark: ColumnWatermark, view: Int
    ) -> Lowered {
        var columns = OverColumns(below.fields, over)
        let running = over.calls.filter(\.isRunning).map { call in
            SortedRelease.Call(
                function: Lowering.running(call), argument: call.arguments.first.map { columns.place($0) }, type: call.type,
                includesPeers: call.function.readsFrame && call.function != .firstValue && call.frame.unit != .rows)
        }
        let waiting = over.calls.filter { !$0.isRunning }.map { call in
            OverFunctionCall(
                kind: Lowering.kind(call), argument: call.arguments.first.map { columns.place($0) },
                filter: call.filter.map { columns.place($0) }, type: call.type, frame: Lowering.frame(call.frame))
        }
        let unnamed = columns.expressions.map { Field(name: "", type: $0.type) }
        let projected = project(below, columns.expressions, unnamed, view: view)
        let exchanged = graph.addExchange(projected.node, keys: columns.partition)
        let width = unnamed.count
        let released = release(
            projected, width: width, fields: unnamed + running.map { Field(name: "", type: $0.type) }, partition: columns.partition,
            order: columns.order, calls: running, watermark: watermark, view: view, node: exchanged)
        let layout = FinalFrames.Layout(
            types: released.fields.map(\.type), partition: columns.partition, order: columns.order, calls: waiting,
            delay: released.watermarks[time]?.delay ?? 0)
        var framed = released
        framed.node = graph.addOperator("emit frames", inputs: [released.node]) { FinalFrames(layout, view: view, context: $0) }
        framed.fields = released.fields + waiting.map { Field(name: "", type: $0.type) }
        // Who waits for more rows may wait for ever.
        let lengths = over.calls.filter { !$0.isRunning }.map(\.longestWait)
        framed.watermarks = lengths.contains(nil) ? [:] : released.watermarks.mapValues { $0.later(by: lengths.compactMap(\.self).max() ?? 0) }
        var places = (running: width, waiting: width + running.count)
        let results = over.calls.map { call -> Expression in
            let place = call.isRunning ? places.running : places.waiting
            if call.isRunning { places.running += 1 } else { places.waiting += 1 }
            return .column(place, call.type)
        }
        let own = below.fields.enumerated().map { Expression.column($0.offset, $0.element.type) }
        return project(framed, own + results, over.fields, view: view)
    }

    /// Rows for sessions: those without a time are in none, and are refused like late ones or, where nothing is, dropped.
    mutating func admitTimed(_ lowered: inout Lowered, time: Int, view: Int) throws(SQLError) {
        let isJudged = lowered.isSourceRows && lowered.watermarks[time] != nil
        admit(&lowered, time: time, view: view)
        if isJudged { return }
        let hasTime = Expression.not(.isNull(.column(time, lowered.fields[time].type)))
        lowered.node = graph.addOperator("filter", inputs: [lowered.node]) { (context) throws(SQLError) in
            try Filter(hasTime, view: view, countsSourceRows: false, context: context)
        }
    }

    mutating func lowerSession(
        _ input: Plan, time: Int, _ session: SessionWindow, _ fields: [Field], view: Int, onClose: Bool
    ) throws(SQLError) -> Lowered {
        var below = try lower(input, view: view, onClose: onClose)
        try admitTimed(&below, time: time, view: view)
        // In a query that is answered once nothing is final before its end.
        let watermark = below.watermarks[time]
        if onClose, watermark == nil { throw SQLError(.featureNotSupported, "SESSION needs a column with a watermark") }
        let exchanged = graph.addExchange(below.node, keys: session.partition)
        let type = below.fields[time].type
        let calls = [OverKind.sessionStart(gap: session.gap), .sessionEnd(gap: session.gap)].map {
            OverFunctionCall(kind: $0, argument: nil, type: type, frame: .standard)
        }
        let layout = OverPartitions.Layout(
            types: below.fields.map(\.type), width: below.fields.count, partition: session.partition,
            order: [SortedRelease.Order(column: time, descending: false, nullsFirst: false)], calls: calls, shown: [0, 1], limit: nil,
            completion: watermark.map { .session(call: 1, delay: $0.delay) } ?? .never, isChanging: !below.isAppendOnly,
            emission: onClose ? .onClose : .onChange)
        let node = graph.addOperator("session", inputs: [exchanged]) { OverPartitions(layout, view: view, context: $0) }
        return Lowered(
            node: node, fields: fields,
            watermarks: watermark.map { [fields.count - 1: ColumnWatermark(delay: $0.delay, isExclusive: false)] } ?? [:], isSourceRows: false,
            isAppendOnly: onClose, lateness: 0)
    }

    private mutating func release(
        _ below: Lowered, width: Int, fields: [Field], partition: [Int], order: [SortedRelease.Order],
        calls: [SortedRelease.Call], watermark: ColumnWatermark, view: Int, node: NodeID
    ) -> Lowered {
        let counts = below.isSourceRows
        let slack = Lowering.sum(watermark.delay, counts ? below.lateness : 0)
        let layout = SortedRelease.Layout(width: width, partition: partition, order: order, calls: calls, slack: slack)
        let types = below.fields.map(\.type)
        let released = graph.addOperator("emit in order", inputs: [node]) {
            SortedRelease(layout, types: types, view: view, countsSourceRows: counts, context: $0)
        }
        // A row leaves only once the watermark is beyond it and the allowed lateness.
        let watermarks = below.watermarks.filter { $0.key < width }.mapValues { $0.later(by: counts ? max(slack, below.lateness) : 0) }
        return Lowered(
            node: released, fields: fields, watermarks: watermarks, isSourceRows: false,
            isAppendOnly: true, lateness: 0)
    }

    private static func running(_ call: OverCall) -> RunningFunction {
        switch call.function {
        case .lag: .lag(distance: call.distance, defaultValue: call.defaultValue)
        case .rowNumber: .rowNumber
        case .rank: .rank
        case .denseRank: .denseRank
        case .firstValue: .firstValue
        case .lastValue: .lastValue
        case .aggregate(let function): running(function, call)
        case .lead, .percentRank, .cumeDist, .ntile, .nthValue: preconditionFailure("a function of rows that are yet to come")
        }
    }

    private static func running(_ function: AggregateFunction, _ call: OverCall) -> RunningFunction {
        switch function {
        case .count, .countAll: .count
        case .sum: .sum
        case .min: .min
        case .max: .max
        default: .aggregate(spec(function, call))
        }
    }

    private static func spec(_ function: AggregateFunction, _ call: OverCall) -> AggregateSpec {
        AggregateSpec(
            function: function, argumentType: call.arguments.first?.type, resultType: call.type, input: nil, isFiltered: call.filter != nil)
    }

    private static func kind(_ call: OverCall) -> OverKind {
        switch call.function {
        case .rowNumber: .rowNumber
        case .rank: .rank
        case .denseRank: .denseRank
        case .percentRank: .percentRank
        case .cumeDist: .cumeDist
        case .ntile: .ntile(Int64(call.distance))
        case .lag: .shifted(by: -call.distance, defaultValue: call.defaultValue)
        case .lead: .shifted(by: call.distance, defaultValue: call.defaultValue)
        case .firstValue: .nthValue(1)
        case .lastValue: .nthValue(nil)
        case .nthValue: .nthValue(call.distance)
        case .aggregate(let function): .aggregate(spec(function, call))
        }
    }

    private static func frame(_ frame: WindowFrame) -> OverFrame {
        func bound(_ bound: WindowFrame.Bound) -> OverFrame.Bound {
            switch bound {
            case .unboundedPreceding: .unboundedPreceding
            case .currentRow: .currentRow
            case .unboundedFollowing: .unboundedFollowing
            case .preceding(let distance): .preceding(distance)
            case .following(let distance): .following(distance)
            }
        }
        let unit: OverFrame.Unit =
            switch frame.unit {
            case .rows: .rows
            case .range: .range
            case .groups: .groups
            case .session: .session
            }
        let exclusion: OverFrame.Exclusion =
            switch frame.exclusion {
            case .noOthers: .noOthers
            case .currentRow: .currentRow
            case .group: .group
            case .ties: .ties
            }
        return OverFrame(unit: unit, start: bound(frame.start), end: bound(frame.end), exclusion: exclusion)
    }
}

extension OverCall {
    /// How long after its row the last row of a frame may come (µs); nil: any time.
    fileprivate var longestWait: Int64? {
        if function == .lead { return nil }
        switch (frame.unit, frame.end) {
        case (.session, _), (.rows, .following): return nil
        case (_, .following(let length)): return length
        default: return 0
        }
    }
}

extension Expression {
    /// The ordinal of an expression that is a column.
    var column: Int? { if case .column(let ordinal, _) = self { ordinal } else { nil } }
}
