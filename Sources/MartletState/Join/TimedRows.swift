package import MartletColumns
package import MartletCore

/// Rows that are valid for a span of time each: from an instant on, up to another. The last two columns say which
/// (microseconds since 1970; the end is not part of the span). One thread.
package final class TimedRows {
    private let rows: RowHeap
    private let width: Int
    private var starting = Schedule()
    private var ending = Schedule()
    private var now = Int64.min

    private struct Schedule {
        private var slots: [Int64: [UInt32]] = [:]
        private var times = SpanStarts()

        func save(into writer: StateWriter) {
            let all = times.all
            writer.write(UInt64(all.count))
            for time in all {
                writer.write(time)
                writer.write(slots[time] ?? [])
            }
        }

        /// `isDue`: takes note of a slot; false: it cannot be one.
        mutating func restore(from reader: StateReader, _ isDue: (UInt32) -> Bool) throws(StateError) {
            var last: Int64?
            for _ in 0..<(try reader.readCount(max: 1 << 40)) {
                let time: Int64 = try reader.read()
                let due = try reader.readNumbers(UInt32.self)
                guard last.map({ time > $0 }) ?? true, due.allSatisfy({ isDue($0) }) else {
                    throw reader.error("a row that cannot be due at \(time)")
                }
                last = time
                slots[time] = due
                times.insert(time)
            }
        }

        /// What is due of another one's, by slots that have got other numbers.
        mutating func adopt(_ other: Schedule, _ slots: [UInt32]) {
            for time in other.times.all {
                for slot in other.slots[time] ?? [] where slots[Int(slot)] != KeyShare.none { add(slots[Int(slot)], at: time) }
            }
        }

        mutating func add(_ slot: UInt32, at time: Int64) {
            slots[time, default: []].append(slot)
            times.insert(time)
        }

        /// What is due up to `now`, that included.
        mutating func take(upTo now: Int64) -> [UInt32] {
            var due: [UInt32] = []
            while let time = times.first, time <= now {
                times.removeFirst()
                due += slots.removeValue(forKey: time) ?? []
            }
            return due
        }
    }

    /// - Parameter types: of all columns, the span's two at the end.
    package init(_ types: [DataType]) {
        width = types.count - 2
        rows = RowHeap(types, metaWords: 1, isIndexed: true)
    }

    package var rowCount: Int { rows.count }

    package var memoryBytes: Int { rows.memoryBytes }

    package func save(into writer: StateWriter) {
        rows.save(into: writer)
        writer.write(now)
        starting.save(into: writer)
        ending.save(into: writer)
    }

    /// Into an object without rows.
    package func restore(from reader: StateReader) throws(StateError) {
        var starts = try rows.restore(from: reader)
        var ends = starts
        now = try reader.read()
        func take(_ slot: UInt32, _ waiting: inout [Bool]) -> Bool {
            guard slot < waiting.count, waiting[Int(slot)] else { return false }
            waiting[Int(slot)] = false
            return true
        }
        try starting.restore(from: reader) { take($0, &starts) }
        try ending.restore(from: reader) { take($0, &ends) }
        guard !ends.contains(true) else { throw reader.error("a row without an end") }
    }

    /// Takes over the rows of another one, just restored, of which the columns without the span are `share`'s.
    package func adopt(_ other: TimedRows, _ share: KeyShare) {
        let live = other.rows.liveSlots
        let hashes = Hash.rows(other.rows.gather(0..<width, live), count: live.count)
        var isMine = [Bool](repeating: false, count: Int(live.last ?? 0) + 1)
        for (place, slot) in live.enumerated() { isMine[Int(slot)] = width == 0 ? share.shard == 0 : share.contains(hashes[place]) }
        let slots = rows.adopt(other.rows) { isMine[Int($0)] }
        now = max(now, other.now)
        starting.adopt(other.starting, slots)
        ending.adopt(other.ending, slots)
    }

    /// Takes rows in or out; answers what that changes among the rows that are valid now (columns without the span).
    package func apply(_ batch: Batch) -> Batch? {
        let from = batch.columns[width]
        let until = batch.columns[width + 1]
        // A row whose span is over was given up already, and its deletion says nothing new.
        let open = (0..<batch.count).filter { row in
            !from.isNull(row) && !until.isNull(row) && until.int64s[row] > now && from.int64s[row] < until.int64s[row]
        }
        guard !open.isEmpty else { return nil }
        let rest = open.count == batch.count ? batch : batch.gather(Selection(open))
        let applied = rows.apply(rest.columns, count: rest.count, weights: rest.weights)
        var shown: [Int] = []
        for row in 0..<rest.count {
            let (start, end) = (rest.columns[width].int64s[row], rest.columns[width + 1].int64s[row])
            if applied.isNew[row] {
                if start > now { starting.add(applied.slots[row], at: start) }
                ending.add(applied.slots[row], at: end)
            }
            if start <= now { shown.append(row) }
        }
        guard !shown.isEmpty else { return nil }
        let visible = rest.gather(Selection(shown))
        return Batch(count: visible.count, columns: Array(visible.columns.prefix(width)), weights: visible.weights)
    }

    /// Moves the clock on; answers the rows that become valid and those that no longer are.
    package func advance(to instant: Int64) -> Batch? {
        guard instant > now else { return nil }
        now = instant
        var slots: [UInt32] = []
        let weights = Column(.bigint, capacity: 16)
        for slot in starting.take(upTo: instant) where rows.weight(slot).pointee != 0 {
            slots.append(slot)
            weights.append(.bigint(rows.weight(slot).pointee))
        }
        let over = ending.take(upTo: instant)
        // A row that began and ended since the last time is in both, and comes to nothing.
        for slot in over where rows.weight(slot).pointee != 0 {
            slots.append(slot)
            weights.append(.bigint(-rows.weight(slot).pointee))
        }
        defer { for slot in over { rows.remove(slot) } }
        guard !slots.isEmpty else { return nil }
        return Consolidation.net([Batch(count: slots.count, columns: rows.gather(0..<width, slots), weights: weights)])
    }
}
