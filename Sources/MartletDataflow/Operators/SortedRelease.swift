package import MartletColumns
package import MartletCore
package import MartletState

/// EMIT ON WINDOW CLOSE for plain rows and OVER: rows wait until the watermark has passed them and leave in the order
/// of event time, then of the remaining sort keys, with the results of running functions per partition added.
///
/// Rows that are equal in all sort keys leave in the order of their source position, so that the result depends
/// neither on batch sizes nor on shards.
package final class SortedRelease: Operator {
    package struct Layout: Sendable {
        /// Columns that pass through: the first ones.
        package var width: Int
        package var partition: [Int]
        /// The first is event time, ascending.
        package var order: [Order]
        package var calls: [Call]
        /// How far behind the watermark rows may still come (µs).
        package var slack: Int64

        package init(width: Int, partition: [Int], order: [Order], calls: [Call], slack: Int64) {
            self.slack = slack
            self.width = width
            self.partition = partition
            self.order = order
            self.calls = calls
        }
    }

    package struct Order: Sendable {
        package var column: Int
        package var descending: Bool
        package var nullsFirst: Bool

        package init(column: Int, descending: Bool, nullsFirst: Bool) {
            self.column = column
            self.descending = descending
            self.nullsFirst = nullsFirst
        }
    }

    package struct Call: Sendable {
        package var function: RunningFunction
        package var argument: Int?
        package var type: DataType
        /// The value at the last of the rows that sort equal counts for all of them (RANGE).
        package var includesPeers: Bool

        package init(function: RunningFunction, argument: Int?, type: DataType, includesPeers: Bool = false) {
            self.function = function
            self.argument = argument
            self.type = type
            self.includesPeers = includesPeers
        }
    }

    private let layout: Layout
    private let view: Int
    private let countsSourceRows: Bool
    private let context: ShardContext

    /// The waiting rows, in order of arrival, and where each came from.
    private var waiting: [Column] = []
    private var positions: [Position] = []
    private var earliest = Int64.max
    /// Numbers the partitions; `states[number]` are their functions' states, in the order of the calls.
    private let partitions: KeyIndex
    private var states: [[RunningState]] = []

    private struct Position: Equatable {
        var source: Int
        var partition: Int32
        var offset: Int64
    }

    /// - Parameter types: of the input's columns.
    package init(
        _ layout: Layout, types: [DataType], view: Int, countsSourceRows: Bool, context: ShardContext
    ) {
        self.layout = layout
        self.view = view
        self.countsSourceRows = countsSourceRows
        self.context = context
        waiting = types.map { Column($0, capacity: 0) }
        partitions = KeyIndex(keys: layout.partition.map { types[$0] })
    }

    private var time: Column { waiting[layout.order[0].column] }

    package func process(_ batch: Batch, from input: Int, into output: any Output) {
        let times = batch.columns[layout.order[0].column]
        let kept = Selection(capacity: batch.count)
        var timeless: [Int] = []
        for row in 0..<batch.count {
            if times.isNull(row) {
                if countsSourceRows { context.counters[view].filtered += 1 } else { timeless.append(row) }
                continue
            }
            let time = times.int64s[row]
            if let stamps = batch.watermarks, time < stamps.int64s[row].delayed(by: layout.slack) {
                context.addLate(batch, row, eventTime: time, view: view, countsSourceRows: countsSourceRows)
                continue
            }
            kept.indexes[kept.count] = Int32(truncatingIfNeeded: row)
            kept.count += 1
            earliest = min(earliest, time)
            positions.append(position(of: row, in: batch))
        }
        if countsSourceRows { context.counters[view].counted += UInt64(kept.count) }
        for (column, from) in zip(waiting, batch.columns) { column.append(rowsOf: from, kept, detached: true) }
        if layout.calls.isEmpty, !timeless.isEmpty { leave(batch, Selection(timeless), into: output) }
    }

    /// Rows without a time are those to which an outer join found no match, where the time is the other side's: they have waited
    /// there until none could come.
    private func leave(_ batch: Batch, _ rows: Selection, into output: any Output) {
        output.emit(Batch(count: rows.count, columns: batch.columns.prefix(layout.width).map { $0.gather(rows) }))
    }

    private func position(of row: Int, in batch: Batch) -> Position {
        guard let origins = batch.origins else { return Position(source: 0, partition: 0, offset: 0) }
        let block = origins.block
        return Position(
            source: block.source, partition: block.partition, offset: block.offsets[origins.blockRow(row)])
    }

    package func save(into writer: StateWriter) {
        for column in waiting { writer.write(column) }
        writer.write(UInt64(positions.count))
        for position in positions {
            writer.write(Int64(position.source))
            writer.write(position.partition)
            writer.write(position.offset)
        }
        partitions.save(into: writer)
        writer.write(UInt64(states.count))
        for state in states.joined() { state.save(into: writer) }
    }

    package var awaited: Watermark? { earliest < .max ? (earliest + 1).delayed(by: 0 - layout.slack) : nil }

    /// Long texts are not looked at.
    package var stateSize: StateSize {
        let rowBytes = waiting.reduce(MemoryLayout<Position>.stride) { $0 + $1.physical.stride }
        return StateSize(rows: positions.count, bytes: positions.count * rowBytes + partitions.memoryBytes)
    }

    package func restore(from reader: StateReader) throws(StateError) {
        var columns: [Column] = []
        for column in waiting { columns.append(try reader.readColumn(column.type)) }
        waiting = columns
        positions = []
        for _ in 0..<(try reader.readCount(max: time.count)) {
            positions.append(Position(source: Int(try reader.read(Int64.self)), partition: try reader.read(), offset: try reader.read()))
        }
        guard waiting.allSatisfy({ $0.count == positions.count }), positions.indices.allSatisfy({ !time.isNull($0) }) else {
            throw reader.error("rows without their places")
        }
        earliest = positions.indices.map { time.int64s[$0] }.min() ?? .max
        try partitions.restore(from: reader)
        states = []
        for _ in 0..<(try reader.readCount(max: partitions.count)) {
            var row = layout.calls.map { RunningState($0.function) }
            for call in row.indices { try row[call].restore(from: reader) }
            states.append(row)
        }
    }

    package func adopt(_ other: any Operator, _ move: ShardMove) {
        guard let other = other as? SortedRelease else { preconditionFailure("another operator") }
        let hashes = Hash.rows(layout.partition.map { other.waiting[$0] }, count: other.positions.count)
        let mine = other.positions.indices.filter { row in
            layout.partition.isEmpty ? move.share.shard == 0 : move.share.contains(hashes[row])
        }
        for (column, from) in zip(waiting, other.waiting) { column.append(rowsOf: from, Selection(mine), detached: true) }
        positions += mine.map { other.positions[$0] }
        earliest = positions.indices.map { time.int64s[$0] }.min() ?? .max
        for (number, moved) in partitions.adopt(other.partitions, move.share).enumerated() where moved != nil {
            // New numbers come in the order of the old ones.
            states.append(number < other.states.count ? other.states[number] : layout.calls.map { RunningState($0.function) })
        }
    }

    package func advance(to watermark: Watermark, into output: any Output) {
        let limit = watermark.delayed(by: layout.slack)
        guard earliest < limit || (limit == .end && !positions.isEmpty) else { return }
        var leaving: [Int] = []
        var staying: [Int] = []
        earliest = .max
        let times = time.int64s
        for row in positions.indices {
            if times[row] < limit || limit == .end {
                leaving.append(row)
            } else {
                staying.append(row)
                earliest = min(earliest, times[row])
            }
        }
        leaving.sort(in: context) { precedes($0, $1) }
        if !leaving.isEmpty { release(Selection(leaving), into: output) }
        let rest = Selection(staying)
        // Detached, so that the bytes of rows that left are let go.
        waiting = waiting.map { column in
            let kept = Column(column.type, capacity: rest.count)
            kept.append(rowsOf: column, rest, detached: true)
            return kept
        }
        positions = staying.map { positions[$0] }
    }

    private func precedes(_ left: Int, _ right: Int) -> Bool {
        let times = time.int64s
        if times[left] != times[right] { return times[left] < times[right] }
        for order in layout.order.dropFirst() {
            let column = waiting[order.column]
            let place: Int
            switch (column.isNull(left), column.isNull(right)) {
            case (true, true): place = 0
            case (true, false): place = order.nullsFirst ? -1 : 1
            case (false, true): place = order.nullsFirst ? 1 : -1
            case (false, false):
                let ascending = column.compare(left, column, right)
                place = order.descending ? -ascending : ascending
            }
            if place != 0 { return place < 0 }
        }
        let (a, b) = (positions[left], positions[right])
        if a != b { return (a.source, a.partition, a.offset) < (b.source, b.partition, b.offset) }
        // Rows without a source position: by content.
        for column in waiting.prefix(layout.width) {
            let place = column.compare(left, column, right)
            if place != 0 { return place < 0 }
        }
        return false
    }

    private func release(_ rows: Selection, into output: any Output) {
        let columns = waiting.map { $0.gather(rows) }
        let errors = RowErrors()
        let results = run(columns, count: rows.count, errors)
        var batch = Batch(count: rows.count, columns: columns.prefix(layout.width) + results)
        if !errors.isEmpty {
            context.reject(errors, of: batch, view: view, countsSourceRows: false)
            batch = batch.without(errors)
        }
        var from = 0
        while from < batch.count {
            let part = min(4096, batch.count - from)
            output.emit(batch.slice(from, part))
            from += part
        }
    }

    /// The running functions' values at rows that stand in order. Peers leave together: they have the same time.
    private func run(_ columns: [Column], count: Int, _ errors: RowErrors) -> [Column] {
        guard !layout.calls.isEmpty else { return [] }
        let numbers = UnsafeMutablePointer<UInt32>.allocate(capacity: count)
        defer { numbers.deallocate() }
        partitions.find(layout.partition.map { columns[$0] }, count: count, into: numbers)
        while states.count < partitions.count { states.append(layout.calls.map { RunningState($0.function) }) }
        let peers = peers(columns, count, numbers)
        return layout.calls.indices.map { index in
            let call = layout.calls[index]
            var values = [Value](repeating: .null, count: count)
            for row in 0..<count where row & 1023 != 0 || !context.isStopped {
                let partition = Int(numbers[row])
                let argument = call.argument.map { columns[$0].value(at: row) }
                do throws(SQLError) {
                    values[row] = try states[partition][index].next(argument, isPeer: peers.first[row] != row, result: call.type)
                } catch {
                    errors.add(row, error)
                }
            }
            guard call.includesPeers else { return Column(call.type, values) }
            return Column(call.type, (0..<count).map { values[peers.last[$0]] })
        }
    }

    /// The first and the last row of the same partition that sort equal to each row.
    private func peers(_ columns: [Column], _ count: Int, _ numbers: UnsafePointer<UInt32>) -> (first: [Int], last: [Int]) {
        var first = Array(0..<count)
        var last = Array(0..<count)
        var latest: [UInt32: Int] = [:]
        for row in 0..<count {
            if let before = latest[numbers[row]], layout.order.allSatisfy({ columns[$0.column].equals(row, columns[$0.column], before) }) {
                first[row] = first[before]
                last[first[row]] = row
            }
            latest[numbers[row]] = row
        }
        for row in 0..<count { last[row] = last[first[row]] }
        return (first, last)
    }
}
