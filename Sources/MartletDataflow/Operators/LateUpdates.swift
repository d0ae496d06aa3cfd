package import MartletColumns
internal import MartletCore
package import MartletState

/// Keeps the halves of an update together before lateness is judged: an update of which one half is late is late as a whole, so
/// that a row which was counted for good is not counted again in its new form.
///
/// The halves are the rows of one key in one batch: what a statement does to a table comes as one. A new half that was
/// refused was never counted; when it is replaced or deleted in turn, that is refused too. So its key is kept, until the
/// watermark is so far that the row is late by itself. State: those keys. A fed relation's rows enter at the first shard only.
package final class LateUpdates: Operator {
    /// When a row is late, by its event time alone.
    package struct Judge: Sendable {
        package var time: Int
        package var allowedLateness: Int64
        /// nil: it is late when the watermark has passed its time.
        package var shape: WindowShape?

        package init(time: Int, allowedLateness: Int64, shape: WindowShape?) {
            self.time = time
            self.allowedLateness = allowedLateness
            self.shape = shape
        }

        /// The watermark, held back by the allowed lateness, from which on the row is late; nil: it never is, having no time or no
        /// window.
        func end(_ batch: Batch, _ row: Int) -> Int64? {
            let column = batch.columns[time]
            if column.isNull(row) { return nil }
            let instant = column.int64s[row]
            guard let shape else { return instant == .max ? nil : instant + 1 }
            return shape.isCovered(instant) ? shape.lastEnd(instant) : nil
        }
    }

    private let judge: Judge
    private let view: Int
    private let context: ShardContext
    /// Refused rows that are not late by themselves: their keys, and from when on they are.
    private var refused: [[UInt8]: Int64] = [:]
    private var earliest = Int64.max

    package init(_ judge: Judge, view: Int, context: ShardContext) {
        self.judge = judge
        self.view = view
        self.context = context
    }

    package func process(_ batch: Batch, from input: Int, into output: any Output) {
        guard let rows = batch.tableRows, let weights = batch.weights, let stamps = batch.watermarks else {
            output.emit(batch)
            return
        }
        let isLate = (0..<batch.count).map { row in
            judge.end(batch, row).map { $0 <= stamps.int64s[row].delayed(by: judge.allowedLateness) } ?? false
        }
        guard isLate.contains(true) || !refused.isEmpty else {
            output.emit(batch)
            return
        }
        // Made of the rows that can match, as a rule few: late ones, and those that leave while anything is refused.
        var keys = [[UInt8]?](repeating: nil, count: batch.count)
        func key(_ row: Int) -> [UInt8] {
            if let known = keys[row] { return known }
            let made = self.key(rows, row)
            keys[row] = made
            return made
        }
        var lateKeys = Set(isLate.indices.filter { isLate[$0] }.map(key))
        if !refused.isEmpty {
            for row in 0..<batch.count where weights.int64s[row] < 0 {
                if refused.removeValue(forKey: key(row)) != nil { lateKeys.insert(key(row)) }
            }
        }
        guard !lateKeys.isEmpty else {
            output.emit(batch)
            return
        }
        let passing = Selection(capacity: batch.count)
        for row in 0..<batch.count {
            guard lateKeys.contains(key(row)) else {
                passing.indexes[passing.count] = Int32(truncatingIfNeeded: row)
                passing.count += 1
                continue
            }
            if weights.int64s[row] > 0, !isLate[row], let end = judge.end(batch, row) { keep(key(row), until: end) }
            let time = batch.columns[judge.time]
            context.addLate(batch, row, eventTime: time.isNull(row) ? stamps.int64s[row] : time.int64s[row], view: view, countsSourceRows: true)
        }
        if passing.count > 0 { output.emit(passing.count == batch.count ? batch : batch.gather(passing)) }
    }

    private func key(_ rows: TableRows, _ row: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        for column in rows.key { ValueCodec.encodeInner(ValueCodec.canonical(rows.columns[column].value(at: row)), into: &bytes) }
        return bytes
    }

    private func keep(_ key: [UInt8], until end: Int64) {
        refused[key] = end
        earliest = min(earliest, end)
    }

    package func advance(to watermark: Watermark, into output: any Output) {
        let limit = watermark.delayed(by: judge.allowedLateness)
        guard earliest <= limit else { return }
        refused = refused.filter { $0.value > limit }
        earliest = refused.values.min() ?? .max
    }

    package func save(into writer: StateWriter) {
        writer.write(UInt64(refused.count))
        for (key, end) in refused.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
            writer.write(key)
            writer.write(end)
        }
    }

    package var stateSize: StateSize {
        // A dictionary's entry and an array of some bytes.
        StateSize(rows: refused.count, bytes: refused.count * 96)
    }

    package func restore(from reader: StateReader) throws(StateError) {
        for _ in 0..<(try reader.readCount(max: 1 << 40)) { keep(try reader.readBytes(), until: try reader.read()) }
    }

    package func adopt(_ other: any Operator, _ move: ShardMove) {
        guard let other = other as? LateUpdates else { preconditionFailure("another operator") }
        guard move.share.shard == 0 else { return }
        for (key, end) in other.refused { keep(key, until: end) }
    }
}
