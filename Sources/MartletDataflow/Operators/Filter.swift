package import MartletColumns
package import MartletCore
package import MartletState

/// Counts the rows that enter a view, and passes on the columns that it reads.
package final class ViewEntry: StatelessOperator {
    private let columns: [Int]
    private let table: TableInput?
    private let view: Int
    private let context: ShardContext

    /// - Parameter table: the rows are changes of a keyed table, which are judged by key.
    package init(columns: [Int], table: TableInput? = nil, view: Int, context: ShardContext) {
        self.columns = columns
        self.table = table
        self.view = view
        self.context = context
    }

    package func process(_ batch: Batch, from input: Int, into output: any Output) {
        context.counters[view].rowsIn += UInt64(batch.count)
        var narrowed = batch
        narrowed.columns = columns.map { batch.columns[$0] }
        if let table {
            let kept = table.keepsLate ? batch.columns : table.key.map { batch.columns[$0] }
            narrowed.tableRows = TableRows(
                relation: table.relation, columns: kept, key: table.keepsLate ? table.key : Array(table.key.indices), isWhole: table.keepsLate)
        }
        output.emit(narrowed)
    }
}

/// A keyed table whose changes a view reads and judges by event time.
package struct TableInput: Sendable {
    /// Which of the graph's relations it is.
    package var relation: Int
    package var key: [Int]
    /// Late rows are wanted with all their columns.
    package var keepsLate: Bool

    package init(relation: Int, key: [Int], keepsLate: Bool) {
        self.relation = relation
        self.key = key
        self.keepsLate = keepsLate
    }
}

/// Counts the source rows that reach the end of a view which keeps no state of its own, and passes them on.
package final class ViewExit: StatelessOperator {
    private let view: Int
    private let context: ShardContext

    package init(view: Int, context: ShardContext) {
        self.view = view
        self.context = context
    }

    package func process(_ batch: Batch, from input: Int, into output: any Output) {
        context.counters[view].counted += UInt64(batch.count)
        var counted = batch
        counted.tableRows = nil
        output.emit(counted)
    }
}

/// Passes the rows for which the predicate is true. A row whose predicate fails to evaluate is a dead letter.
package final class Filter: StatelessOperator {
    private let predicate: ExpressionEvaluator
    private let view: Int
    private let countsSourceRows: Bool
    private let context: ShardContext

    /// - Parameter countsSourceRows: the input's rows are a source's own, so that what is dropped here counts as filtered.
    package init(
        _ predicate: Expression, view: Int, countsSourceRows: Bool, context: ShardContext
    ) throws(SQLError) {
        self.predicate = try ExpressionEvaluator(predicate, context: context.evaluation)
        self.view = view
        self.countsSourceRows = countsSourceRows
        self.context = context
    }

    package func process(_ batch: Batch, from input: Int, into output: any Output) {
        let errors = RowErrors()
        let kept = predicate.select(batch, errors: errors)
        if !errors.isEmpty { context.reject(errors, of: batch, view: view, countsSourceRows: countsSourceRows) }
        if countsSourceRows {
            context.counters[view].filtered += UInt64(batch.count - kept.count - errors.entries.count)
        }
        if kept.count == batch.count {
            output.emit(batch)
        } else if kept.count > 0 {
            output.emit(batch.gather(kept))
        }
    }
}

/// Computes columns. A row of which any expression fails is a dead letter.
package final class Project: StatelessOperator {
    private let expressions: [ExpressionEvaluator]
    private let view: Int
    private let countsSourceRows: Bool
    private let context: ShardContext

    package init(
        _ expressions: [Expression], view: Int, countsSourceRows: Bool, context: ShardContext
    ) throws(SQLError) {
        self.expressions = try expressions.map { (expression) throws(SQLError) in try ExpressionEvaluator(expression, context: context.evaluation) }
        self.view = view
        self.countsSourceRows = countsSourceRows
        self.context = context
    }

    package func process(_ batch: Batch, from input: Int, into output: any Output) {
        let errors = RowErrors()
        var projected = batch
        projected.columns = expressions.map { $0.evaluate(batch, errors: errors) }
        if !errors.isEmpty {
            context.reject(errors, of: batch, view: view, countsSourceRows: countsSourceRows)
            projected = projected.without(errors)
        }
        if projected.count > 0 { output.emit(projected) }
    }
}

/// Brings several inputs of the same columns together.
package final class Union: StatelessOperator {
    package init() {}

    package func process(_ batch: Batch, from input: Int, into output: any Output) {
        output.emit(batch)
    }
}

/// Constant rows, once, from shard 0.
package final class ConstantRows: Operator {
    private var rows: Batch?

    /// `isEverywhere`: each shard has them all; else the first one.
    package init(_ rows: Batch, isEverywhere: Bool = false, context: ShardContext) {
        self.rows = isEverywhere || context.shard == 0 ? rows : nil
    }

    package func process(_ batch: Batch, from input: Int, into output: any Output) {}

    package func advance(to watermark: Watermark, into output: any Output) {
        guard let rows else { return }
        self.rows = nil
        if rows.count > 0 { output.emit(rows) }
    }

    package func save(into writer: StateWriter) { writer.write(rows == nil) }

    package var stateSize: StateSize { .none }

    package func restore(from reader: StateReader) throws(StateError) {
        if try reader.readFlag() { rows = nil }
    }

    package func adopt(_ other: any Operator, _ move: ShardMove) {
        guard let other = other as? ConstantRows else { preconditionFailure("another operator") }
        if move.isFirst, other.rows == nil { rows = nil }
    }
}
