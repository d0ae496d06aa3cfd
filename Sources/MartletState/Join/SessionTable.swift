package import MartletColumns
package import MartletCore

/// The open sessions of each partition: rows of a partition no further apart than `gap` share one. A session is a number, a
/// first and a last time; what its rows come to is kept by the owner under the number. One thread.
///
/// A row costs one search for its partition and a look at the partition's open sessions, of which there is mostly one.
/// A session costs O(log n) for each time that the watermark reaches an end which rows have moved on since.
package final class SessionTable {
    private let groups: RowGroups
    /// Microseconds.
    private let gap: Int64
    /// One entry for each number that is in use, at an end that the session had.
    private var due = DueSessions()

    /// Times are the two words of a session's row. One that became part of another starts behind its end until its entry comes
    /// up: its number is not given to another before, so that each number has one entry.
    private static let merged: (start: Int64, last: Int64) = (.max, .min)

    package init(partition types: [DataType], gap: Int64) {
        self.gap = gap
        groups = RowGroups(
            keys: KeyedRows(KeyLayout(types), template: Array(repeating: 0, count: RowGroups.headBytes)),
            rows: RowHeap([.bigint, .bigint], metaWords: RowGroups.metaWords, isIndexed: false), chain: 0)
    }

    /// Sessions that are open.
    package var count: Int { groups.rows.count }

    /// The first time at which to look whether a session can get no further row.
    package var firstDue: Int64? { due.first?.time }

    package var memoryBytes: Int { groups.keys.memoryBytes + groups.rows.memoryBytes + due.memoryBytes }

    @inline(__always)
    private func times(_ slot: UInt32) -> UnsafeMutablePointer<Int64> {
        (groups.rows[slot] + KeyLayout.keys).assumingMemoryBound(to: Int64.self)
    }

    private func end(_ last: Int64) -> Int64 {
        let (end, overflow) = last.addingReportingOverflow(gap)
        return overflow ? .max : end
    }

    // MARK: - Rows

    package struct Assigned {
        /// The number of each row's session.
        package var sessions: Column
        /// Sessions that a row joined, in the order in which that happened: all that `gone` has, rows of this batch included,
        /// belongs to `kept`.
        package var merges: [(gone: Int64, kept: Int64)] = []
    }

    /// Finds the sessions of rows `0 ..< count`, which have times (microseconds), and makes those that are new.
    package func assign(_ partition: [Column], times rows: UnsafePointer<Int64>, count: Int) -> Assigned {
        let numbers = groups.keys.numbers(partition, count: count)
        var assigned = Assigned(sessions: Column(.bigint, capacity: count))
        assigned.sessions.count = count
        for row in 0..<count {
            assigned.sessions.int64s[row] = Int64(assign(rows[row], key: numbers[row], &assigned.merges))
        }
        return assigned
    }

    private func assign(_ time: Int64, key: UInt32, _ merges: inout [(gone: Int64, kept: Int64)]) -> UInt32 {
        var found: UInt32?
        var next = groups.head(groups.keys[Int(key)])
        while next != 0 {
            let slot = next - 1
            next = groups.next(slot)
            let span = times(slot)
            guard span[0] <= span[1], time <= end(span[1]), span[0] <= end(time) else { continue }
            guard let first = found else {
                span[0] = min(span[0], time)
                span[1] = max(span[1], time)
                found = slot
                continue
            }
            // The row lies between the two: the earlier one goes on.
            let (kept, gone) = times(first)[0] < span[0] ? (first, slot) : (slot, first)
            times(kept)[1] = max(times(kept)[1], times(gone)[1])
            (times(gone)[0], times(gone)[1]) = SessionTable.merged
            merges.append((Int64(gone), Int64(kept)))
            found = kept
        }
        if let found { return found }
        let slot = withUnsafeTemporaryAllocation(of: UInt64.self, capacity: 2) { words in
            words.initialize(repeating: UInt64(bitPattern: time))
            return groups.rows.insert(0, UnsafePointer(words.baseAddress.unsafelyUnwrapped), 0, 1)
        }
        groups.link(slot, key: key)
        due.insert(DueSessions.Entry(time: end(time), slot: slot))
        return slot
    }

    // MARK: - Closing

    /// Sessions that can get no further row.
    package struct Closed {
        package var sessions: Column
        package var partition: [Column]
        package var starts: [Int64]
        /// `gap` behind the last row.
        package var ends: [Int64]
    }

    /// Takes out the sessions whose end is not above `limit`, at most `most` of them, in the order of their ends.
    package func close(upTo limit: Int64, most: Int) -> Closed? {
        var over: [DueSessions.Entry] = []
        while over.count < most, let entry = due.first, entry.time <= limit {
            due.removeFirst()
            let span = times(entry.slot)
            if span[0] > span[1] {
                groups.remove(entry.slot)
            } else if end(span[1]) > entry.time {
                due.insert(DueSessions.Entry(time: end(span[1]), slot: entry.slot))
            } else {
                over.append(entry)
            }
        }
        guard !over.isEmpty else { return nil }
        let keys = over.map { groups.keys[groups.key(of: $0.slot)] }
        let partition = keys.withUnsafeBufferPointer { keys in
            groups.keys.layout.fields.indices.map { groups.keys.keyColumn($0, of: keys.baseAddress.unsafelyUnwrapped, count: keys.count) }
        }
        let closed = Closed(
            sessions: Column(.bigint, over.map { .bigint(Int64($0.slot)) }), partition: partition,
            starts: over.map { times($0.slot)[0] }, ends: over.map(\.time))
        for entry in over { groups.remove(entry.slot) }
        return closed
    }

    // MARK: - Saving

    package func save(into writer: StateWriter) {
        groups.keys.save(into: writer)
        groups.rows.save(into: writer)
        let entries = due.sorted
        writer.write(entries.map(\.time))
        writer.write(entries.map(\.slot))
    }

    /// Takes over the sessions of the keys that are `share`'s of another one, just restored. The answer: the old and new numbers
    /// of those that have rows of their own.
    package func adopt(_ other: SessionTable, _ share: KeyShare) -> [(old: Int64, new: Int64)] {
        let numbers = RowGroups.adoptKeys(groups.keys, other.groups.keys, share)
        let slots = groups.adopt(other.groups, keys: numbers)
        var moved: [(old: Int64, new: Int64)] = []
        for entry in other.due.sorted where slots[Int(entry.slot)] != KeyShare.none {
            let slot = slots[Int(entry.slot)]
            due.insert(DueSessions.Entry(time: entry.time, slot: slot))
            let span = times(slot)
            if span[0] <= span[1] { moved.append((Int64(entry.slot), Int64(slot))) }
        }
        return moved
    }

    /// Into a table without sessions. The answer: the numbers that are in use, and whether each has rows of its own.
    package func restore(from reader: StateReader) throws(StateError) -> [Int64: Bool] {
        _ = try groups.keys.restore(from: reader)
        let isLive = try groups.rows.restore(from: reader)
        try groups.check(isLive: isLive, reader)
        let times = try reader.readNumbers(Int64.self)
        let slots = try reader.readNumbers(UInt32.self)
        guard times.count == slots.count, slots.count == isLive.count(where: { $0 }) else { throw reader.error("sessions without an end") }
        var used: [Int64: Bool] = [:]
        for (time, slot) in zip(times, slots) {
            guard slot < isLive.count, isLive[Int(slot)], used[Int64(slot)] == nil else { throw reader.error("an end of session \(slot)") }
            let span = self.times(slot)
            used[Int64(slot)] = span[0] <= span[1]
            guard span[0] > span[1] || time <= end(span[1]) else { throw reader.error("session \(slot) ends before its end") }
            due.insert(DueSessions.Entry(time: time, slot: slot))
        }
        return used
    }
}

/// Sessions by a time at which to look at them: a binary heap.
private struct DueSessions {
    struct Entry {
        var time: Int64
        var slot: UInt32

        static func < (left: Entry, right: Entry) -> Bool { (left.time, left.slot) < (right.time, right.slot) }
    }

    /// Each element is before its children, at 2i + 1 and 2i + 2.
    private var heap: [Entry] = []

    var first: Entry? { heap.first }

    var sorted: [Entry] { heap.sorted { $0 < $1 } }

    var memoryBytes: Int { heap.capacity * MemoryLayout<Entry>.stride }

    mutating func insert(_ entry: Entry) {
        heap.append(entry)
        var at = heap.count - 1
        while at > 0, heap[at] < heap[(at - 1) / 2] {
            heap.swapAt(at, (at - 1) / 2)
            at = (at - 1) / 2
        }
    }

    mutating func removeFirst() {
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var at = 0
        while true {
            var least = at
            for child in [2 * at + 1, 2 * at + 2] where child < heap.count && heap[child] < heap[least] { least = child }
            if least == at { return }
            heap.swapAt(at, least)
            at = least
        }
    }
}
