internal import MartletColumns

extension JoinTable {
    /// Between ticks.
    package func save(into writer: StateWriter) {
        precondition(isSettled, "a join is saved between ticks")
        keys.save(into: writer)
        for side in 0...1 {
            groups[side].rows.save(into: writer)
            let starts = ends[side].all
            writer.write(UInt64(starts.count))
            for start in starts {
                writer.write(start)
                writer.write(spans[side][start] ?? [])
            }
        }
        guard mayWait else { return }
        for side in 0...1 {
            writer.write(UInt64(clamping: arrived[side]))
            writer.write(hasIndexed[side])
            waiting[side]?.save(into: writer)
        }
    }

    private var mayWait: Bool { waiting.contains { $0 != nil } }

    /// Into a table without rows.
    package func restore(from reader: StateReader) throws(StateError) {
        _ = try keys.restore(from: reader)
        for side in 0...1 {
            let rows = groups[side].rows
            let isLive = try rows.restore(from: reader)
            try groups[side].check(isLive: isLive, reader)
            if sides[side].counts {
                for slot in isLive.indices { rows.meta(UInt32(slot))[JoinTable.touchedWord] = 0 }
            }
            try restoreSpans(side, isLive, reader)
        }
        // Before, rows that waited were put into the index to be saved.
        guard mayWait, reader.version >= SavedFormat.versionWithWaiting else { return }
        for side in 0...1 {
            arrived[side] = try reader.readCount(max: 1 << 56)
            hasIndexed[side] = try reader.readFlag()
            try waiting[side]?.restore(from: reader)
        }
    }

    /// A row of a side with time stands in one span.
    private func restoreSpans(_ side: Int, _ isLive: [Bool], _ reader: StateReader) throws(StateError) {
        var waiting = isLive
        var last: Int64?
        for _ in 0..<(try reader.readCount(max: sides[side].time == nil ? 0 : 1 << 40)) {
            let start: Int64 = try reader.read()
            let slots = try reader.readNumbers(UInt32.self)
            guard last.map({ start > $0 }) ?? true else { throw reader.error("spans of time out of order") }
            last = start
            for slot in slots {
                guard slot < waiting.count, waiting[Int(slot)] else { throw reader.error("row \(slot) is in two spans, or is none") }
                waiting[Int(slot)] = false
            }
            spans[side][start] = slots
            ends[side].insert(start)
        }
        guard sides[side].time == nil || !waiting.contains(true) else { throw reader.error("a row in no span of time") }
    }
}
