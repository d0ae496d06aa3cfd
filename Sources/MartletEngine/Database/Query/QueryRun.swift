internal import MartletColumns
internal import MartletCore
internal import MartletDataflow
internal import MartletSQL
internal import MartletState

/// Where a query's rows come from: snapshots by the names that plans use, and sources, which are read to their end as of now.
struct QueryInputs {
    var snapshots: [String: StoreSnapshot]
    var sources: [SourceDefinition] = []
    var connectors: (any ConnectorProvider)?
}

/// A query carried out once, on the thread that asks: the plan is lowered to the circuit that a view of it would have, its
/// relations are fed and ended, and what comes out is the answer.
struct QueryRun {
    let inputs: QueryInputs
    let evaluation: EvaluationContext
    let limits: StatementLimits
    let clock: any Clock
    /// Leaves the processor to others: for statements that take long.
    var yield: @Sendable () -> Void = {}
    /// Sees the circuit when everything has come of it.
    var onEnd: ((Circuit) -> Void)?

    /// All rows of a plan, in no order.
    func rows(_ plan: Plan) throws(SQLError) -> [Batch] {
        if onEnd == nil, let scan = RelationScan(plan), let snapshot = inputs.snapshots[scan.name] {
            let pages = try ScanEvaluator(scan, context: evaluation)
            var result: [Batch] = []
            var bytes = 0
            let watch = StatementWatch(limits, clock: clock, yield: yield) { 0 }
            for page in 0..<snapshot.pageCount {
                if let reason = watch.reason { throw reason }
                let batch = try pages.evaluate(snapshot.batch(page))
                if batch.count == 0 { continue }
                bytes += batch.memoryBytes
                if bytes > limits.memoryMax { throw StatementLimits.outOfMemory(limits.memoryMax) }
                result.append(batch)
            }
            return result
        }
        return try circuitRows(plan)
    }

    private func circuitRows(_ plan: Plan) throws(SQLError) -> [Batch] {
        let script = PipelineScript(query: plan, sources: inputs.sources)
        let names = script.relationsRead + script.viewsRead
        var lowering = Lowering(
            sources: script.sources, inputs: names.map { PipelineInput(name: $0, isAppendOnly: true, isDriven: false) },
            objects: [("query", plan)], shards: 1, evaluation: evaluation)
        let result = QueryResult(limits)
        try lowering.addSink("query", plan) { (_) throws(SQLError) in { ResultBuffer(result, context: $0) } }
        var setups: [SourceSetup] = []
        for (ordinal, source) in script.sources.enumerated() {
            guard let connectors = inputs.connectors else { continue }
            let readers = try connectors.openSource(source.definition, ordinal: ordinal, columns: source.columns)
            setups.append(Pipeline.setup(source.definition, columns: source.columns, readers: readers))
        }
        let circuit = try Circuit(
            graph: lowering.graph, sources: setups, shards: 1, executor: SequentialExecutor(shards: 1), clock: clock,
            evaluation: evaluation)
        let watch = StatementWatch(limits, clock: clock, yield: yield) { [unowned circuit] in
            result.bytes + circuit.waitingBytes + circuit.figures.reduce(0) { $0 + $1.state.bytes }
        }
        circuit.shards[0].context.interruption = { watch.reason }
        for (ordinal, name) in names.enumerated() {
            for batch in inputs.snapshots[name]?.batches ?? [] { circuit.feed(relation: ordinal, batch) }
        }
        while !circuit.isFinished {
            try limits.check()
            let report = circuit.step()
            if let failure = circuit.failure { throw failure }
            // Records that the source refuses are its dead letters, not the query's mistake; with on_error = 'fail' it has failed.
            if let letter = report.deadLetters.first(where: { $0.view != nil }) {
                throw SQLError(SQLState(letter.reasonCode), letter.reason)
            }
        }
        onEnd?(circuit)
        return result.rows
    }

    /// The rows of a query in its order, cut, with the columns that are shown.
    func rows(_ query: BoundQuery) throws(SQLError) -> [Batch] {
        var batches = try rows(query.plan)
        if !query.order.isEmpty { batches = try sorted(batches, by: query.order) }
        return QueryRun.cut(batches, offset: query.offset, limit: query.limit).map { $0.prefix(columns: query.fields.count) }
    }

    private func sorted(_ batches: [Batch], by order: [SortKey]) throws(SQLError) -> [Batch] {
        guard let whole = Batch.joined(batches) else { return [] }
        var keys: [(column: Column, descending: Bool, nullsFirst: Bool)] = []
        for key in order {
            let errors = RowErrors()
            let column = try ExpressionEvaluator(key.expression, context: evaluation).evaluate(whole, errors: errors)
            if let entry = errors.sorted.first { throw entry.error }
            keys.append((column, key.descending, key.nullsFirst))
        }
        try limits.check()
        var compared = 0
        let comparison = { [limits] (left: Int, right: Int) throws -> Bool in
            compared &+= 1
            if compared & 4095 == 0 { try limits.check() }
            for (column, descending, nullsFirst) in keys {
                let isNull = (column.isNull(left), column.isNull(right))
                if isNull.0 || isNull.1 {
                    if isNull.0 == isNull.1 { continue }
                    return isNull.0 == nullsFirst
                }
                let sign = column.compare(left, column, right)
                if sign != 0 { return (sign < 0) != descending }
            }
            // Rows that sort equal keep their order.
            return left < right
        }
        do {
            return [whole.rows(try (0..<whole.count).sorted(by: comparison))]
        } catch {
            throw error as? SQLError ?? SQLError(.internalError, "\(error)")
        }
    }

    static func cut(_ batches: [Batch], offset: Int64, limit: Int64?) -> [Batch] {
        guard offset > 0 || limit != nil else { return batches }
        var skip = offset
        var left = limit ?? .max
        var result: [Batch] = []
        for batch in batches {
            let count = Int64(batch.count)
            if skip >= count {
                skip -= count
                continue
            }
            let taken = min(count - skip, left)
            if taken <= 0 { break }
            result.append(batch.slice(Int(skip), Int(taken)))
            skip = 0
            left -= taken
        }
        return result
    }
}

extension Batch {
    func prefix(columns wanted: Int) -> Batch { Batch(count: count, columns: Array(columns.prefix(wanted))) }
}

/// What a query's circuit gives. Filled and read by one thread.
final class QueryResult {
    private var batches: [Batch] = []
    private(set) var bytes = 0
    private let limits: StatementLimits

    init(_ limits: StatementLimits) { self.limits = limits }

    /// The rows that stand at the end.
    var rows: [Batch] {
        if !batches.contains(where: { $0.weights != nil }) { return batches }
        guard let net = Consolidation.net(batches) else { return [] }
        let repeated = Consolidation.repeated(net)
        return [Batch(count: repeated.count, columns: repeated.columns)]
    }

    func add(_ batch: Batch, _ context: ShardContext) {
        if context.failure == nil { context.failure = limits.reason }
        bytes += batch.memoryBytes
        if bytes > limits.memoryMax, context.failure == nil { context.failure = StatementLimits.outOfMemory(limits.memoryMax) }
        if context.failure == nil { batches.append(Batch(count: batch.count, columns: batch.columns, weights: batch.weights)) }
    }
}

/// The end of a query's plan. A query is carried out once and never saved.
final class ResultBuffer: StatelessOperator {
    private let result: QueryResult
    private let context: ShardContext

    init(_ result: QueryResult, context: ShardContext) {
        self.result = result
        self.context = context
    }

    func process(_ batch: Batch, from input: Int, into output: any Output) { result.add(batch, context) }
}
