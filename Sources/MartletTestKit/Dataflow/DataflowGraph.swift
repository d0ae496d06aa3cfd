internal import MartletColumns
internal import MartletCore
internal import MartletDataflow
internal import MartletState

/// Builds the graph of a case from the operators, as the engine does from plans.
struct DataflowGraph {
    private(set) var graph = Graph()
    private let shards: Int
    /// Per view.
    private(set) var collectors: [RowCollector] = []
    private var sources: [NodeID] = []

    private enum In { static let time = 0, key = 1, label = 2, value = 3, id = 4 }

    init(_ item: DataflowCase, shards: Int) {
        self.shards = shards
        for index in item.sources.indices { sources.append(graph.addSource("source \(index)")) }
        for (index, view) in item.views.enumerated() { add(view, index) }
    }

    // MARK: Expressions

    private static func column(_ index: Int) -> Expression { .column(index, ScriptedRow.types[index]) }

    private static func bigint(_ value: Int64) -> Expression { .literal(.bigint(value), .bigint) }

    private static let quotient = Expression.call(.divide, [bigint(1000), column(In.value)], .bigint)

    private static func predicate(_ view: ViewSpec) -> Expression? {
        switch view.predicate {
        case .all: nil
        case .valueAtLeast(let bound): .call(.greaterOrEqual, [column(In.value), bigint(bound)], .boolean)
        case .quotientAtLeast(let bound): .call(.greaterOrEqual, [quotient, bigint(bound)], .boolean)
        }
    }

    private static func keys(_ view: ViewSpec) -> [Expression] {
        switch view.key {
        case .none: []
        case .number: [column(In.key)]
        case .label: [column(In.label)]
        case .both: [column(In.label), column(In.key)]
        }
    }

    /// The aggregates' argument, and their filter.
    private static func arguments(_ view: ViewSpec) -> [Expression] {
        [
            view.argument == .value ? column(In.value) : quotient,
            .call(.greater, [column(In.value), bigint(ViewSpec.filterAbove)], .boolean),
        ]
    }

    private static let calls: [AggregateSpec] = [
        AggregateSpec(function: .countAll, argumentType: nil, resultType: .bigint),
        AggregateSpec(function: .count, argumentType: .bigint, resultType: .bigint),
        AggregateSpec(function: .sum, argumentType: .bigint, resultType: .plainNumeric),
        AggregateSpec(function: .min, argumentType: .bigint, resultType: .bigint),
        AggregateSpec(function: .max, argumentType: .bigint, resultType: .bigint),
        AggregateSpec(function: .countAll, argumentType: nil, resultType: .bigint),
    ]

    /// Where the calls' arguments and filters stand, when they follow `width` columns.
    private static func places(after width: Int) -> (arguments: [Int?], filters: [Int?]) {
        ([nil, width, width, width, width, nil], [nil, nil, nil, nil, nil, width + 1])
    }

    // MARK: Views

    private mutating func add(_ view: ViewSpec, _ index: Int) {
        let ordinal = graph.addView("view \(index)")
        let shards = shards
        let collector = RowCollector(shards: shards)
        collectors.append(collector)
        let entries = sources.map { source in
            graph.addOperator("entry", inputs: [source]) {
                ViewEntry(columns: Array(ScriptedRow.types.indices), view: ordinal, context: $0)
            }
        }
        var node = entries[0]
        if entries.count > 1 { node = graph.addOperator("union", inputs: entries) { _ in Union() } }
        if let predicate = DataflowGraph.predicate(view) {
            node = graph.addOperator("filter", inputs: [node]) { (context) throws(SQLError) in
                try Filter(predicate, view: ordinal, countsSourceRows: true, context: context)
            }
        }
        switch view.shape {
        case .select: node = addSelect(node, view, ordinal)
        case .ordered: node = addOrdered(node, view, ordinal)
        case .running(let byValue): node = addRunning(node, view, ordinal, byValue: byValue)
        case .plain: node = addPlain(node, view, ordinal)
        case .sliced(let window): node = addSliced(node, view, ordinal, window)
        case .grouped(let window, let onClose): node = addGrouped(node, view, ordinal, window, onClose: onClose)
        case .cascade(let window): node = addCascade(addSliced(node, view, ordinal, window), view, ordinal)
        }
        _ = graph.addOperator("collect", inputs: [node]) { CollectRows(collector, shard: $0.shard) }
    }

    private mutating func project(
        _ node: NodeID, _ expressions: [Expression], _ ordinal: Int, countsSourceRows: Bool = true
    ) -> NodeID {
        graph.addOperator("project", inputs: [node]) { (context) throws(SQLError) in
            try Project(expressions, view: ordinal, countsSourceRows: countsSourceRows, context: context)
        }
    }

    private static func plainColumns(_ view: ViewSpec) -> [Expression] {
        [column(In.time), column(In.key), view.argument == .value ? column(In.value) : quotient, column(In.id)]
    }

    private mutating func addSelect(_ node: NodeID, _ view: ViewSpec, _ ordinal: Int) -> NodeID {
        let projected = project(node, DataflowGraph.plainColumns(view), ordinal)
        return graph.addOperator("exit", inputs: [projected]) { ViewExit(view: ordinal, context: $0) }
    }

    private mutating func addOrdered(_ node: NodeID, _ view: ViewSpec, _ ordinal: Int) -> NodeID {
        let columns = DataflowGraph.plainColumns(view)
        let types = columns.map(\.type)
        let projected = project(node, columns, ordinal)
        let layout = SortedRelease.Layout(
            width: 4, partition: [], order: [.init(column: 0, descending: false, nullsFirst: false)], calls: [],
            slack: view.allowedLateness)
        return graph.addOperator("release", inputs: [projected]) {
            SortedRelease(layout, types: types, view: ordinal, countsSourceRows: true, context: $0)
        }
    }

    private mutating func addRunning(_ node: NodeID, _ view: ViewSpec, _ ordinal: Int, byValue: Bool) -> NodeID {
        let columns = DataflowGraph.plainColumns(view)
        let types = columns.map(\.type)
        let projected = project(node, columns, ordinal)
        let exchanged = graph.addExchange(projected, keys: [1])
        var order = [SortedRelease.Order(column: 0, descending: false, nullsFirst: false)]
        if byValue { order.append(.init(column: 2, descending: true, nullsFirst: true)) }
        let lag = RunningFunction.lag(distance: 2, defaultValue: .bigint(ViewSpec.lagDefault))
        let layout = SortedRelease.Layout(
            width: 4, partition: [1], order: order,
            calls: [
                .init(function: lag, argument: 2, type: .bigint),
                .init(function: .rowNumber, argument: nil, type: .bigint),
                .init(function: .sum, argument: 2, type: .plainNumeric),
                .init(function: .count, argument: 2, type: .bigint),
                .init(function: .max, argument: 2, type: .bigint),
            ], slack: view.allowedLateness)
        return graph.addOperator("over", inputs: [exchanged]) {
            SortedRelease(layout, types: types, view: ordinal, countsSourceRows: true, context: $0)
        }
    }

    private mutating func addPlain(_ node: NodeID, _ view: ViewSpec, _ ordinal: Int) -> NodeID {
        let keys = DataflowGraph.keys(view)
        let projected = project(node, keys + DataflowGraph.arguments(view), ordinal)
        let counted = graph.addOperator("exit", inputs: [projected]) { ViewExit(view: ordinal, context: $0) }
        let exchanged = graph.addExchange(counted, keys: Array(keys.indices))
        let places = DataflowGraph.places(after: keys.count)
        let layout = GroupLayout(
            keys: keys.map(\.type), calls: DataflowGraph.calls, arguments: places.arguments, filters: places.filters)
        return graph.addOperator("aggregate", inputs: [exchanged]) {
            GroupAggregate(layout, timeKey: nil, emission: .onChange, view: ordinal, context: $0)
        }
    }

    private mutating func addSliced(_ node: NodeID, _ view: ViewSpec, _ ordinal: Int, _ window: WindowSpec) -> NodeID {
        let keys = DataflowGraph.keys(view)
        let projected = project(node, [DataflowGraph.column(In.time)] + keys + DataflowGraph.arguments(view), ordinal)
        let places = DataflowGraph.places(after: 1 + keys.count)
        let layout = WindowAggregateLayout(
            keys: keys.map(\.type), calls: DataflowGraph.calls, arguments: places.arguments, filters: places.filters)
        let shape = WindowShape(size: window.size, hop: window.hop, offset: window.offset)
        let exchange = WindowExchange(shards: shards)
        let partial = graph.addOperator("slices", inputs: [projected]) {
            SliceAggregate(
                shape, layout: layout, allowedLateness: view.allowedLateness, exchange: exchange, view: ordinal,
                countsSourceRows: true, context: $0)
        }
        let outputs: [WindowOutput] =
            [.windowStart, .windowEnd] + keys.indices.map { .key($0) } + DataflowGraph.calls.indices.map { .result($0) }
        return graph.addOperator("close", inputs: [partial], startsStage: true) {
            FinishWindows(
                shape, layout: layout, exchange: exchange, timeType: .timestamptz, outputs: outputs, view: ordinal, context: $0)
        }
    }

    private mutating func addGrouped(
        _ node: NodeID, _ view: ViewSpec, _ ordinal: Int, _ window: WindowSpec, onClose: Bool
    ) -> NodeID {
        let keys = DataflowGraph.keys(view)
        let needed = [DataflowGraph.column(In.time)] + keys + DataflowGraph.arguments(view)
        let projected = project(node, needed, ordinal)
        let shape = WindowShape(size: window.size, hop: window.hop, offset: window.offset)
        let windowed = graph.addOperator("window", inputs: [projected]) {
            WindowExpand(
                shape, time: 0, timeType: .timestamptz, allowedLateness: view.allowedLateness, view: ordinal,
                countsSourceRows: true, context: $0)
        }
        let bounds: [Expression] = [.column(needed.count, .timestamptz), .column(needed.count + 1, .timestamptz)]
        let rest = needed.indices.dropFirst().map { Expression.column($0, needed[$0].type) }
        let arranged = project(windowed, bounds + rest, ordinal, countsSourceRows: false)
        let exchanged = graph.addExchange(arranged, keys: Array(0..<(2 + keys.count)))
        let places = DataflowGraph.places(after: 2 + keys.count)
        let layout = GroupLayout(
            keys: [.timestamptz, .timestamptz] + keys.map(\.type), calls: DataflowGraph.calls, arguments: places.arguments,
            filters: places.filters)
        let timeKey = GroupAggregate.TimeKey(key: 1, allowedLateness: view.allowedLateness, isExclusive: true)
        return graph.addOperator("aggregate", inputs: [exchanged]) {
            GroupAggregate(
                layout, timeKey: timeKey, emission: onClose ? .onClose : .onChange, view: ordinal, context: $0)
        }
    }

    /// Input: window_start, window_end, keys, count(*), …
    private mutating func addCascade(_ node: NodeID, _ view: ViewSpec, _ ordinal: Int) -> NodeID {
        let count = 2 + DataflowGraph.keys(view).count
        let projected = project(
            node, [.column(1, .timestamptz), .column(count, .bigint)], ordinal, countsSourceRows: false)
        let exchanged = graph.addExchange(projected, keys: [0])
        let layout = GroupLayout(
            keys: [.timestamptz],
            calls: [
                AggregateSpec(function: .countAll, argumentType: nil, resultType: .bigint),
                AggregateSpec(function: .sum, argumentType: .bigint, resultType: .plainNumeric),
            ], arguments: [nil, 1], filters: [nil, nil])
        let timeKey = GroupAggregate.TimeKey(key: 0, allowedLateness: view.allowedLateness, isExclusive: true)
        let grouped = graph.addOperator("aggregate", inputs: [exchanged]) {
            GroupAggregate(layout, timeKey: timeKey, emission: .onClose, view: ordinal, context: $0)
        }
        let together = graph.addExchange(grouped, keys: [])
        let release = SortedRelease.Layout(
            width: 3, partition: [], order: [.init(column: 0, descending: false, nullsFirst: false)],
            calls: [.init(function: .lag(distance: 1, defaultValue: .null), argument: 2, type: .plainNumeric)],
            slack: view.allowedLateness)
        return graph.addOperator("over", inputs: [together]) {
            SortedRelease(
                release, types: [.timestamptz, .bigint, .plainNumeric], view: ordinal, countsSourceRows: false, context: $0)
        }
    }
}

/// What came out of a view in one tick, in the shards' order.
final class RowCollector {
    private let rows: PerShard<[(row: [Value], weight: Int64)]>

    init(shards: Int) { rows = PerShard(shards, []) }

    func add(_ batch: Batch, shard: Int) {
        for row in 0..<batch.count {
            rows[shard].append((batch.row(row), batch.weights?.int64s[row] ?? 1))
        }
    }

    func take() -> [(row: [Value], weight: Int64)] {
        var taken: [(row: [Value], weight: Int64)] = []
        for shard in 0..<rows.count {
            taken += rows[shard]
            rows[shard] = []
        }
        return taken
    }
}

final class CollectRows: StatelessOperator {
    private let collector: RowCollector
    private let shard: Int

    init(_ collector: RowCollector, shard: Int) {
        self.collector = collector
        self.shard = shard
    }

    func process(_ batch: Batch, from input: Int, into output: any Output) { collector.add(batch, shard: shard) }
}
