package import MartletColumns
package import MartletCore
package import MartletState

/// Rows that are valid for a time by the clock (`now()` in a filter): they come out when their time has come, and are
/// taken back when it is over. The last two columns of the input are the first instant of a row's span and the first one
/// behind it, as timestamps; they are not passed on.
package final class TemporalFilter: Operator {
    private let rows: TimedRows
    private let clock: TickClock

    /// - Parameter types: of the input's columns.
    package init(types: [DataType], clock: TickClock) {
        rows = TimedRows(types)
        self.clock = clock
    }

    package func process(_ batch: Batch, from input: Int, into output: any Output) {
        move(into: output)
        if let shown = rows.apply(batch) { output.emit(shown) }
    }

    package func flush(into output: any Output) {
        move(into: output)
    }

    package func save(into writer: StateWriter) { rows.save(into: writer) }

    package var stateSize: StateSize { StateSize(rows: rows.rowCount, bytes: rows.memoryBytes) }

    package func restore(from reader: StateReader) throws(StateError) { try rows.restore(from: reader) }

    package func adopt(_ other: any Operator, _ move: ShardMove) {
        guard let other = other as? TemporalFilter else { preconditionFailure("another operator") }
        rows.adopt(other.rows, move.share)
    }

    private func move(into output: any Output) {
        if let changes = rows.advance(to: clock.now) { output.emit(changes) }
    }
}
