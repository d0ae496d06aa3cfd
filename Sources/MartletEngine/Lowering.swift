internal import MartletColumns
internal import MartletCore
internal import MartletDataflow
internal import MartletSQL
internal import MartletState

/// A column along which a stream is ordered up to a delay: no later row has it below the node's watermark minus `delay`
/// (not even equal to it, where `isExclusive`: a window's end lies strictly after its rows).
struct ColumnWatermark: Equatable {
    var delay: Int64
    var isExclusive: Bool
    /// NULL in rows to which an outer join found none on the column's side.
    var isOptional = false

    /// The column's watermark behind an operator that keeps rows until the watermark, held back by `delay`, is beyond them.
    func later(by delay: Int64) -> ColumnWatermark {
        let (sum, overflow) = self.delay.addingReportingOverflow(delay)
        return ColumnWatermark(delay: overflow ? .max : sum, isExclusive: false, isOptional: isOptional)
    }
}

/// A plan that stands in the graph.
struct Lowered {
    var node: NodeID
    var fields: [Field]
    var watermarks: [Int: ColumnWatermark]
    /// The rows are a source's own, not yet kept or counted by any operator.
    var isSourceRows: Bool
    /// Only insertions; else rows carry weights.
    var isAppendOnly: Bool
    /// The `allowed_lateness` of the sources (the greatest), µs.
    var lateness: Int64
    /// What changes in a tick is said once, with weights of 1 and −1, and rows of one content come and go at one shard.
    var isNet = false
    /// The rows are changes of a table with a key, each beside its row of the table.
    var isKeyed = false
}

/// Plans → graph. One lowering per pipeline: sources and materialized views are shared by all that read them.
struct Lowering {
    /// Windows that one row may belong to. Above it a plan would spend its life opening windows.
    static let windowsPerRowMax: Int64 = 100_000

    var graph = Graph()
    let shards: Int
    private let evaluation: EvaluationContext
    private let sources: [String: SourceEntry]
    private var views: [String: Lowered] = [:]
    private let shared: SharedPlans
    /// Parts that stand in the graph already.
    private var standing: [SharedPlans.Part: Lowered] = [:]
    /// Constant rows come on every shard, for joins that stay where their other rows are.
    var repeatsConstants = false
    private var inputs: [String: Lowered] = [:]
    /// Of the inputs whose changes are judged by key.
    private var keyed: [String: TableInput] = [:]
    /// Of views and sinks that are yet to be added.
    private var ordinals: [String: [Int]] = [:]

    struct SourceEntry {
        var node: NodeID
        var definition: SourceDefinition
        /// The source's columns that are parsed, ascending.
        var columns: [Int]
    }

    /// - Parameters:
    ///   - sources: with the columns that some plan needs, in the order of their ordinals.
    ///   - inputs: relations that are fed from outside, in the order of their ordinals.
    ///   - objects: all views and sinks, in the order in which they will be added.
    init(
        sources: [(definition: SourceDefinition, columns: [Int])], inputs: [PipelineInput], objects: [(name: String, plan: Plan)],
        shards: Int, evaluation: EvaluationContext
    ) {
        shared = SharedPlans(objects.map(\.plan))
        for object in objects { ordinals[object.name, default: []].append(graph.addView(object.name)) }
        self.evaluation = evaluation
        self.shards = shards
        var entries: [String: SourceEntry] = [:]
        for (definition, columns) in sources {
            entries[definition.name] = SourceEntry(
                node: graph.addSource(definition.name), definition: definition, columns: columns)
        }
        self.sources = entries
        for (relation, input) in inputs.enumerated() {
            if input.eventTime != nil, !input.key.isEmpty {
                keyed[input.name] = TableInput(relation: relation, key: input.key, keepsLate: input.keepsLate)
            }
            self.inputs[input.name] = Lowered(
                node: graph.addRelation(input.name, isDriven: input.isDriven), fields: [],
                watermarks: input.eventTime.map { [$0: ColumnWatermark(delay: 0, isExclusive: false)] } ?? input.watermarks,
                isSourceRows: input.eventTime != nil, isAppendOnly: input.isAppendOnly, lateness: 0)
        }
    }

    /// The end of a view or sink: counts source rows that came so far, and shows of changing rows what a tick comes to.
    private mutating func finished(_ name: String, _ plan: Plan, _ given: Lowered, view: Int) -> Lowered {
        var lowered = given
        let first = graph.nodes.count
        defer { graph.describe(from: first, view: view, detail: "Changes of \(name)") }
        if lowered.isSourceRows {
            lowered.node = graph.addOperator(name, inputs: [lowered.node]) { ViewExit(view: view, context: $0) }
        }
        if !lowered.isAppendOnly, !lowered.isNet {
            // Where a row may leave at one shard and come at another, equal rows have to meet. The graph is the same on any
            // number of shards, so that a state is.
            if !Lowering.staysWithOwner(plan) {
                lowered.node = graph.addExchange(lowered.node, keys: Array(lowered.fields.indices))
            }
            lowered.node = graph.addOperator("net changes", inputs: [lowered.node]) { _ in NetChanges() }
        }
        return lowered
    }

    /// Whether all changes of one row happen at one shard: the owner of its group.
    private static func staysWithOwner(_ plan: Plan) -> Bool {
        switch plan {
        case .aggregate, .view: true
        case .filter(let input, _), .emitOnWindowClose(let input): staysWithOwner(input)
        case .over(_, let partition, _, _, _, _): partition.allSatisfy { $0.column != nil }
        case .project(.over(_, let partition, _, _, _, _), let expressions, _):
            partition.allSatisfy { key in key.column != nil && expressions.contains(key) }
        case .project(.aggregate(_, let keys, _, _, _), let expressions, _),
            .project(.filter(.aggregate(_, let keys, _, _, _), _), let expressions, _):
            keys.indices.allSatisfy { key in expressions.contains { $0.column == key } }
        case .source, .relation, .recursive, .values, .project, .window, .session, .join, .temporal, .repeated, .unionAll, .unnested, .lookup,
            .changelog, .stamped:
            false
        }
    }

    private mutating func ordinal(of name: String) -> Int {
        guard let first = ordinals[name]?.first else { preconditionFailure("\(name) was not among the objects") }
        ordinals[name]?.removeFirst()
        return first
    }

    /// Adds a materialized view, for others to read. `tap` makes the operator that sees its changes from outside.
    mutating func addView(_ name: String, _ plan: Plan, tap: OperatorFactory? = nil) throws(SQLError) -> Lowered {
        let view = ordinal(of: name)
        let lowered = finished(name, plan, try lower(plan, view: view, onClose: false), view: view)
        views[name] = lowered
        let first = graph.nodes.count
        if let tap { _ = graph.addOperator("tap", inputs: [lowered.node], make: tap) }
        graph.describe(from: first, view: view, detail: "Rows of \(name)")
        return lowered
    }

    /// Adds a sink's plan; `make` gives the operator at its end.
    mutating func addSink(
        _ name: String, _ plan: Plan, make: (Lowered) throws(SQLError) -> OperatorFactory
    ) throws(SQLError) {
        let view = ordinal(of: name)
        let lowered = finished(name, plan, try lower(plan, view: view, onClose: false), view: view)
        let end = try make(lowered)
        let first = graph.nodes.count
        _ = graph.addOperator(name, inputs: [lowered.node], make: end)
        graph.describe(from: first, view: view, detail: "Rows of \(name)")
    }

    // MARK: Nodes

    /// A part that several read stands in the graph once.
    mutating func lower(_ plan: Plan, view: Int, onClose: Bool) throws(SQLError) -> Lowered {
        if shared.uses.isEmpty || repeatsConstants { return try lowerAnew(plan, view: view, onClose: onClose) }
        let part = SharedPlans.Part(plan: plan.unnamed, onClose: onClose)
        guard let readers = shared.readers(part, areCounted: !plan.givesSourceRows) else {
            return try lowerAnew(plan, view: view, onClose: onClose)
        }
        var lowered: Lowered
        if let known = standing[part] {
            lowered = known
        } else {
            lowered = try lowerAnew(plan, view: graph.addGroup(readers), onClose: onClose)
            standing[part] = lowered
        }
        lowered.fields = plan.fields
        return lowered
    }

    private mutating func lowerAnew(_ plan: Plan, view: Int, onClose: Bool) throws(SQLError) -> Lowered {
        let first = graph.nodes.count
        let lowered = try lowerNode(plan, view: view, onClose: onClose)
        // Those that the plan's inputs made are described by now.
        graph.describe(from: first, view: view, detail: plan.title)
        return lowered
    }

    private mutating func lowerNode(_ plan: Plan, view: Int, onClose: Bool) throws(SQLError) -> Lowered {
        switch plan {
        case .source(let name, let columns, let fields):
            return lowerSource(name, columns: columns, fields: fields, view: view)
        case .relation(let name, let fields):
            return lowerInput(name, fields, view: view)
        case .recursive(let recursion, let fields): return lowerInput(recursion.name, fields, view: view)
        case .view(let name, let fields):
            var lowered = views[name] ?? inputs[name]!
            lowered.fields = fields
            let columns = Array(fields.indices)
            if lowered.isSourceRows {
                lowered.node = graph.addOperator(name, inputs: [lowered.node]) {
                    ViewEntry(columns: columns, view: view, context: $0)
                }
            }
            return lowered
        case .filter(let input, let predicate):
            var lowered = try lower(input, view: view, onClose: onClose)
            let counts = lowered.isSourceRows
            lowered.node = graph.addOperator("filter", inputs: [lowered.node]) { (context) throws(SQLError) in
                try Filter(predicate, view: view, countsSourceRows: counts, context: context)
            }
            return lowered
        case .project(let input, let expressions, let fields):
            return try lowerProject(input, expressions, fields, view: view, onClose: onClose)
        case .window(let input, let time, let window, let fields):
            return try lowerWindow(input, time: time, window, fields, view: view, onClose: onClose)
        case .aggregate(let input, let keys, let calls, let window, let fields):
            if onClose, let sliced = try lowerSliced(input, keys, calls, window, fields, view: view) { return sliced }
            if onClose, let sessions = try lowerSessions(input, keys, calls, fields, view: view) { return sessions }
            return try lowerGrouped(input, keys, calls, fields, view: view, onClose: onClose)
        case .over(let input, let partition, let order, let calls, let limit, let fields):
            let over = OverPlan(partition: partition, order: order, calls: calls, limit: limit, fields: fields)
            return try lowerOver(input, over, view: view, onClose: onClose)
        case .session(let input, let time, let session, let fields):
            return try lowerSession(input, time: time, session, fields, view: view, onClose: onClose)
        case .join(let left, let right, let type, let condition, let fields):
            return try lowerJoin(left, right, type, condition, fields, view: view, onClose: onClose)
        case .temporal(let input, let from, let until):
            return try lowerTemporal(input, from: from, until: until, view: view, onClose: onClose)
        case .repeated(let input, let times): return try lowerRepeated(input, times, view: view, onClose: onClose)
        case .unnested(let input, let lists, let isOuter, let hasOrdinality, let fields):
            return try lowerUnnested(
                input, lists, isOuter: isOuter, hasOrdinality: hasOrdinality, fields, view: view, onClose: onClose)
        case .lookup(let left, let right, let lookup, let condition, let fields):
            if let nearest = lookup.nearest {
                return try lowerNearest(left, right, nearest, isOuter: lookup.isOuter, condition, fields, view: view, onClose: onClose)
            }
            return try lowerLookup(left, right, isOuter: lookup.isOuter, condition, fields, view: view, onClose: onClose)
        case .changelog(let input, let key, let fields):
            return try lowerChangelog(input, key, fields, view: view, onClose: onClose)
        case .stamped(let input, let fields): return try lowerStamped(input, fields, view: view, onClose: onClose)
        case .unionAll(let inputs, let fields):
            return try lowerUnion(inputs, fields, view: view, onClose: onClose)
        case .values(let rows, let fields):
            return try lowerValues(rows, fields)
        case .emitOnWindowClose(let input):
            let lowered = try lower(input, view: view, onClose: true)
            return Lowering.holdsBack(input) ? lowered : try lowerRelease(lowered, view: view)
        }
    }

    private mutating func lowerSource(_ name: String, columns: [Int], fields: [Field], view: Int) -> Lowered {
        let entry = sources[name]!
        let places = columns.map { entry.columns.firstIndex(of: $0)! }
        let node = graph.addOperator(name, inputs: [entry.node]) {
            ViewEntry(columns: places, view: view, context: $0)
        }
        var watermarks: [Int: ColumnWatermark] = [:]
        if let watermark = entry.definition.watermark, let at = columns.firstIndex(of: watermark.column) {
            watermarks[at] = ColumnWatermark(delay: 0, isExclusive: false)
        }
        return Lowered(
            node: node, fields: fields, watermarks: watermarks, isSourceRows: true, isAppendOnly: true,
            lateness: entry.definition.allowedLateness)
    }

    /// A relation from outside. Rows of a table with event time are judged like a source's own.
    private mutating func lowerInput(_ name: String, _ fields: [Field], view: Int) -> Lowered {
        var lowered = inputs[name]!
        lowered.fields = fields
        if lowered.isSourceRows {
            let columns = Array(fields.indices)
            let table = keyed[name]
            lowered.isKeyed = table != nil
            lowered.node = graph.addOperator(name, inputs: [lowered.node]) {
                ViewEntry(columns: columns, table: table, view: view, context: $0)
            }
        }
        return lowered
    }

    private mutating func lowerProject(
        _ input: Plan, _ expressions: [Expression], _ fields: [Field], view: Int, onClose: Bool
    ) throws(SQLError) -> Lowered {
        let below = try lower(input, view: view, onClose: onClose)
        return project(below, expressions, fields, view: view)
    }

    mutating func project(_ below: Lowered, _ expressions: [Expression], _ fields: [Field], view: Int) -> Lowered {
        var lowered = below
        lowered.fields = fields
        lowered.isNet = false
        lowered.watermarks = [:]
        for (at, expression) in expressions.enumerated() {
            guard let (from, lag) = expression.followedTime, let watermark = below.watermarks[from] else { continue }
            let delay = Lowering.sum(watermark.delay, lag)
            lowered.watermarks[at] = ColumnWatermark(
                delay: delay, isExclusive: watermark.isExclusive && lag == 0, isOptional: watermark.isOptional)
        }
        let counts = below.isSourceRows
        lowered.node = graph.addOperator("project", inputs: [below.node]) { (context) throws(SQLError) in
            try Project(expressions, view: view, countsSourceRows: counts, context: context)
        }
        return lowered
    }

    private mutating func lowerWindow(
        _ input: Plan, time: Int, _ window: HopWindow, _ fields: [Field], view: Int, onClose: Bool
    ) throws(SQLError) -> Lowered {
        let shape = try Lowering.shape(window)
        var lowered = try lower(input, view: view, onClose: onClose)
        let counts = lowered.isSourceRows
        let lateness = counts ? lowered.lateness : 0
        // Rows of windows lie behind the watermark by more than lateness; and it says nothing of other columns.
        let slack = lowered.watermarks[time].map { Lowering.sum($0.delay, lateness) } ?? .max
        if counts { keepUpdatesWhole(&lowered, LateUpdates.Judge(time: time, allowedLateness: slack, shape: shape), view: view) }
        let timeType = fields[time].type
        lowered.isNet = false
        lowered.node = graph.addOperator("window", inputs: [lowered.node]) {
            WindowExpand(
                shape, time: time, timeType: timeType, allowedLateness: slack, view: view, countsSourceRows: counts,
                context: $0)
        }
        let width = lowered.fields.count
        lowered.fields = fields
        lowered.isSourceRows = false
        // A row may be as old as the oldest window that still admits it.
        if let watermark = lowered.watermarks[time] {
            let behind = Lowering.sum(watermark.delay, lateness)
            lowered.watermarks = [
                time: ColumnWatermark(delay: Lowering.sum(behind, shape.size), isExclusive: false),
                width: ColumnWatermark(delay: Lowering.sum(behind, shape.size), isExclusive: true),
                width + 1: ColumnWatermark(delay: behind, isExclusive: true),
            ]
        }
        return lowered
    }

    private static func shape(_ window: HopWindow) throws(SQLError) -> WindowShape {
        if max(window.size, window.hop) > WindowShape.lengthMax || window.offset.magnitude > UInt64(WindowShape.lengthMax) {
            throw SQLError(.programLimitExceeded, "a window, its hop and its offset are at most \(WindowShape.lengthMax) microseconds")
        }
        let shape = WindowShape(
            size: window.size, hop: window.hop, offset: window.offset, isCumulative: window.isCumulative)
        if shape.size / shape.hop > windowsPerRowMax || shape.size / shape.slice > windowsPerRowMax {
            throw SQLError(
                .programLimitExceeded,
                "a row would belong to \(shape.size / shape.hop) windows, more than \(windowsPerRowMax)",
                hint: "Use a longer hop or a shorter window.")
        }
        return shape
    }

    /// Of two durations; beyond all time it stays there.
    static func sum(_ first: Int64, _ second: Int64) -> Int64 {
        let (sum, overflow) = first.addingReportingOverflow(second)
        return overflow ? .max : sum
    }

    private mutating func lowerUnion(
        _ inputs: [Plan], _ fields: [Field], view: Int, onClose: Bool
    ) throws(SQLError) -> Lowered {
        var parts: [Lowered] = []
        for input in inputs { parts.append(try lower(input, view: view, onClose: onClose)) }
        let isSourceRows = parts.allSatisfy(\.isSourceRows)
        for at in parts.indices where parts[at].isSourceRows && !isSourceRows {
            parts[at].node = graph.addOperator("union", inputs: [parts[at].node]) { ViewExit(view: view, context: $0) }
        }
        var watermarks: [Int: ColumnWatermark] = [:]
        for column in fields.indices {
            let each = parts.compactMap { $0.watermarks[column] }
            guard each.count == parts.count else { continue }
            watermarks[column] = ColumnWatermark(
                delay: each.map(\.delay).max() ?? 0, isExclusive: each.allSatisfy(\.isExclusive), isOptional: each.contains(where: \.isOptional))
        }
        return Lowered(
            node: graph.addOperator("union", inputs: parts.map(\.node)) { _ in Union() }, fields: fields,
            watermarks: watermarks, isSourceRows: isSourceRows, isAppendOnly: parts.allSatisfy(\.isAppendOnly),
            lateness: parts.map(\.lateness).max() ?? 0)
    }

    private mutating func lowerValues(_ rows: [[Expression]], _ fields: [Field]) throws(SQLError) -> Lowered {
        let unit = Batch(count: 1, columns: [])
        let columns = fields.map { Column($0.type, capacity: rows.count) }
        for row in rows {
            for (at, expression) in row.enumerated() {
                let errors = RowErrors()
                let value = try ExpressionEvaluator(expression, context: evaluation).evaluate(unit, errors: errors)
                if let entry = errors.entries.first { throw entry.error }
                columns[at].append(value.value(at: 0))
            }
        }
        let batch = Batch(count: rows.count, columns: columns)
        let isEverywhere = repeatsConstants
        return Lowered(
            node: graph.addOperator("values", inputs: []) { ConstantRows(batch, isEverywhere: isEverywhere, context: $0) }, fields: fields,
            watermarks: [:], isSourceRows: false, isAppendOnly: true, lateness: 0)
    }
}

// MARK: Aggregation

extension Lowering {
    /// An aggregation's columns, as the operators want them: keys, then arguments and filters.
    private struct AggregateInput {
        var expressions: [Expression]
        var specs: [AggregateSpec]
        var arguments: [Int?]
        var filters: [Int?]

        /// `isChanging`: rows may be withdrawn.
        init(before: [Expression], calls: [AggregateCall], isChanging: Bool = false) {
            expressions = before
            specs = []
            arguments = []
            filters = []
            for call in calls {
                let input = calls.firstIndex { $0.argument == call.argument && $0.filter == call.filter }
                specs.append(
                    AggregateSpec(
                        function: call.function, argumentType: call.argument?.type, resultType: call.type, input: input,
                        isFiltered: call.filter != nil, options: call.options,
                        // The operator keeps the rows of those by itself.
                        takesWithdrawals: isChanging && call.function != .min && call.function != .max))
                arguments.append(add(call.argument))
                filters.append(add(call.filter))
            }
        }

        /// The place of an expression; one that is there already is not computed twice.
        private mutating func add(_ expression: Expression?) -> Int? {
            guard let expression else { return nil }
            if let at = expressions.firstIndex(of: expression) { return at }
            expressions.append(expression)
            return expressions.count - 1
        }
    }

    /// EMIT ON WINDOW CLOSE straight over a window: rows are aggregated by slice before any exchange. nil where the plan
    /// has another shape.
    private mutating func lowerSliced(
        _ input: Plan, _ keys: [Expression], _ calls: [AggregateCall], _ window: AggregateWindow?, _ fields: [Field],
        view: Int
    ) throws(SQLError) -> Lowered? {
        guard case .window(let rows, let time, let hop, let windowFields) = input, !hop.isCumulative, let window else { return nil }
        let width = windowFields.count - 2
        let bounds = [window.startKey, window.endKey].compactMap { $0 }
        let ownKeys = keys.indices.filter { !bounds.contains($0) }
        let used = ownKeys.map { keys[$0] } + calls.compactMap(\.argument) + calls.compactMap(\.filter)
        guard used.allSatisfy({ $0.columnsUsed.allSatisfy { $0 < width } }) else { return nil }

        let before = (graph, standing)
        let below = try lower(rows, view: view, onClose: true)
        guard let watermark = below.watermarks[time], below.isAppendOnly else {
            (graph, standing) = before
            return nil
        }
        let shape = try Lowering.shape(hop)
        let timeType = windowFields[time].type
        let prepared = AggregateInput(
            before: [.column(time, timeType)] + ownKeys.map { keys[$0] }, calls: calls)
        let projected = project(
            below, prepared.expressions, prepared.expressions.map { Field(name: "", type: $0.type) }, view: view)
        let layout = WindowAggregateLayout(
            keys: ownKeys.map { keys[$0].type }, calls: prepared.specs, arguments: prepared.arguments,
            filters: prepared.filters)
        let exchange = WindowExchange(shards: shards)
        let counts = below.isSourceRows
        let slack = Lowering.sum(watermark.delay, counts ? below.lateness : 0)
        let partial = graph.addOperator("aggregate slices", inputs: [projected.node]) {
            SliceAggregate(
                shape, layout: layout, allowedLateness: slack, exchange: exchange, view: view, countsSourceRows: counts,
                context: $0)
        }
        let outputs: [WindowOutput] =
            keys.indices.map { key in
                if key == window.startKey { return .windowStart }
                if key == window.endKey { return .windowEnd }
                return .key(ownKeys.firstIndex(of: key)!)
            } + calls.indices.map { .result($0) }
        let node = graph.addOperator("close windows", inputs: [partial], startsStage: true) {
            FinishWindows(
                shape, layout: layout, exchange: exchange, timeType: timeType, outputs: outputs, view: view, context: $0)
        }
        var watermarks: [Int: ColumnWatermark] = [:]
        if let key = window.startKey { watermarks[key] = ColumnWatermark(delay: Lowering.sum(slack, shape.size), isExclusive: true) }
        if let key = window.endKey { watermarks[key] = ColumnWatermark(delay: slack, isExclusive: true) }
        return Lowered(
            node: node, fields: fields, watermarks: watermarks, isSourceRows: false, isAppendOnly: true, lateness: 0)
    }

    /// EMIT ON WINDOW CLOSE straight over sessions, by their partition: a session is its running values. nil where the plan has
    /// another shape.
    private mutating func lowerSessions(
        _ input: Plan, _ keys: [Expression], _ calls: [AggregateCall], _ fields: [Field], view: Int
    ) throws(SQLError) -> Lowered? {
        guard case .session(let rows, let time, let session, let sessionFields) = input else { return nil }
        let width = sessionFields.count - 2
        let places = keys.compactMap(\.column)
        let bounds = [width, width + 1]
        guard places.count == keys.count, Set(places).isSuperset(of: session.partition), places.contains(where: { bounds.contains($0) }),
            places.allSatisfy({ bounds.contains($0) || session.partition.contains($0) }),
            (calls.compactMap(\.argument) + calls.compactMap(\.filter)).allSatisfy({ $0.columnsUsed.allSatisfy { $0 < width } })
        else { return nil }

        let before = (graph, standing)
        var below = try lower(rows, view: view, onClose: true)
        try admitTimed(&below, time: time, view: view)
        guard below.isAppendOnly, let watermark = below.watermarks[time] else {
            (graph, standing) = before
            return nil
        }
        let timeType = sessionFields[time].type
        let prepared = AggregateInput(
            before: session.partition.map { .column($0, sessionFields[$0].type) } + [.column(time, timeType)], calls: calls)
        let projected = project(
            below, prepared.expressions, prepared.expressions.map { Field(name: "", type: $0.type) }, view: view)
        let exchanged = graph.addExchange(projected.node, keys: Array(session.partition.indices))
        let outputs: [WindowOutput] =
            places.map { place in
                if place == width { return .windowStart }
                if place == width + 1 { return .windowEnd }
                return .key(session.partition.firstIndex(of: place) ?? 0)
            } + calls.indices.map { .result($0) }
        let layout = SessionAggregate.Layout(
            partition: session.partition.map { sessionFields[$0].type }, time: timeType, gap: session.gap, calls: prepared.specs,
            arguments: prepared.arguments, filters: prepared.filters, delay: watermark.delay, outputs: outputs)
        let node = graph.addOperator("aggregate sessions", inputs: [exchanged]) { SessionAggregate(layout, view: view, context: $0) }
        var watermarks: [Int: ColumnWatermark] = [:]
        for (key, place) in places.enumerated() where place == width + 1 {
            watermarks[key] = ColumnWatermark(delay: watermark.delay, isExclusive: false)
        }
        return Lowered(node: node, fields: fields, watermarks: watermarks, isSourceRows: false, isAppendOnly: true, lateness: 0)
    }

    /// Any other aggregation: rows go to the shard that owns their key.
    private mutating func lowerGrouped(
        _ input: Plan, _ keys: [Expression], _ calls: [AggregateCall], _ fields: [Field], view: Int, onClose: Bool
    ) throws(SQLError) -> Lowered {
        var below = try lower(input, view: view, onClose: onClose)
        // Rows without windows may come as late as they like: their groups are never complete, unless late ones are refused.
        let refusesLate = below.isSourceRows && onClose
        if below.isSourceRows, !onClose {
            below.node = graph.addOperator("count", inputs: [below.node]) { ViewExit(view: view, context: $0) }
            below.isSourceRows = false
            below.watermarks = [:]
        }
        let prepared = AggregateInput(before: keys, calls: calls, isChanging: !below.isAppendOnly)
        var projected = project(
            below, prepared.expressions, prepared.expressions.map { Field(name: "", type: $0.type) }, view: view)
        let timed = keys.indices.compactMap { key in projected.watermarks[key].map { (key, $0) } }
            .min { $0.1.delay < $1.1.delay }
        if onClose, timed == nil {
            throw SQLError(
                .featureNotSupported, "EMIT ON WINDOW CLOSE needs a key that the watermark passes",
                hint: "Group by window_start or window_end.")
        }
        if refusesLate, let (time, watermark) = timed {
            let lateness = Lowering.sum(below.lateness, watermark.delay)
            keepUpdatesWhole(&projected, LateUpdates.Judge(time: time, allowedLateness: lateness, shape: nil), view: view)
            projected.node = graph.addOperator("refuse late rows", inputs: [projected.node]) {
                AdmitInTime(time: time, allowedLateness: lateness, view: view, context: $0)
            }
        }
        let layout = GroupLayout(
            keys: keys.map(\.type), calls: prepared.specs, arguments: prepared.arguments, filters: prepared.filters)
        var parts: GroupExchange?
        if timed == nil, below.isAppendOnly, !onClose {
            let exchange = GroupExchange(shards: shards)
            projected.node = graph.addOperator("aggregate partly", inputs: [projected.node]) {
                PartialGroups(layout, exchange: exchange, context: $0)
            }
            parts = exchange
        }
        let exchanged = graph.addExchange(projected.node, keys: Array(keys.indices))
        let timeKey = timed.map {
            GroupAggregate.TimeKey(
                key: $0.0, allowedLateness: Lowering.sum($0.1.delay, refusesLate ? below.lateness : 0), isExclusive: $0.1.isExclusive)
        }
        let isChanging = !below.isAppendOnly
        let merged = parts
        let node = graph.addOperator("aggregate", inputs: [exchanged]) {
            GroupAggregate(
                layout, timeKey: timeKey, emission: onClose ? .onClose : .onChange, isChanging: isChanging, parts: merged, view: view,
                context: $0)
        }
        var watermarks = projected.watermarks.filter { $0.key < keys.count }
        if refusesLate { watermarks = watermarks.mapValues { $0.later(by: below.lateness) } }
        return Lowered(
            node: node, fields: fields, watermarks: watermarks, isSourceRows: false, isAppendOnly: onClose, lateness: 0, isNet: !onClose)
    }
}
