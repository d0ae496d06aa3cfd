internal import MartletColumns
internal import MartletCore
internal import MartletDataflow
internal import MartletSQL

/// What a statement or a transaction does to one table: rows that it found and takes out, rows that it puts in.
struct TableWrite: Sendable {
    var table: RelationID
    var removed: [Batch]
    var inserted: [Batch]
    /// Of the table that the rows were made for (`CatalogObject.form`); nil: the newest.
    var form: UInt32?

    init(table: RelationID, form: UInt32? = nil, removed: [Batch] = [], inserted: [Batch] = []) {
        self.table = table
        self.form = form
        self.removed = removed
        self.inserted = inserted
    }
}

/// Why a write cannot enter at this tick.
enum WriteRefusal {
    /// What it was computed from has changed since: it may be computed anew.
    case conflict
    /// A row with the same values in the columns is there: `row` of the batch.
    case duplicate(Batch, Int, columns: [Int])
}

/// A table at work: judges writes against its rows as they are after all earlier ticks, durable or not.
///
/// The store has the rows of durable ticks; `logs` what later ones did. Driver's thread only.
final class TableState {
    let id: RelationID
    let store: RelationStore
    let types: [DataType]
    /// What a row is found by: its key, or all of it.
    let lookup: [Int]
    let isKeyed: Bool
    /// The columns of its UNIQUE constraints.
    private let uniques: [[Int]]
    /// Event time of its rows: the column, and how much later a row may come, µs.
    let watermark: WatermarkDefinition?
    /// The greatest so far.
    var newestEventTime: Int64?
    private var logs: [(tick: UInt64, log: KeyLog, uniques: [KeyLog])] = []

    init(id: RelationID, types: [DataType], key: [Int], uniques: [[Int]], store: RelationStore, watermark: WatermarkDefinition?) {
        self.watermark = watermark
        self.uniques = uniques
        self.id = id
        self.store = store
        self.types = types
        isKeyed = !key.isEmpty
        lookup = isKeyed ? key : Array(types.indices)
    }

    /// What a statement does to a row stays together: event time decides whether it counts.
    var isJudgedByKey: Bool { isKeyed && watermark != nil }

    /// Forgets what the store has by now.
    func prune(through tick: UInt64) { logs.removeAll { $0.tick <= tick } }

    /// How far the table is; nil: it has no event time.
    var currentWatermark: Watermark? {
        guard let watermark, let newestEventTime else { return nil }
        return newestEventTime.delayed(by: watermark.delay)
    }

    /// A statement's rows with the watermark before it, by which they are judged; moves on to what they say.
    func stamped(_ batch: Batch) -> Batch {
        guard let watermark else { return batch }
        var result = batch
        result.watermarks = Column.constant(.bigint(currentWatermark ?? .start), type: .bigint, count: batch.count)
        let times = batch.columns[watermark.column]
        for row in 0..<batch.count where !times.isNull(row) && (batch.weights?.int64s[row] ?? 1) > 0 {
            let time = times.int64s[row]
            if time.magnitude <= UInt64(EventTimePolicy.magnitudeMax) { newestEventTime = max(newestEventTime ?? .min, time) }
        }
        return result
    }

    /// A write judged, and not yet entered.
    struct Staged {
        let log: KeyLog
        /// By the columns of each UNIQUE constraint.
        let uniques: [KeyLog]
        let removed: Batch?
        let inserted: Batch?

        /// Rows that go, then rows that come; `together`: as one batch, so that both halves of an update are judged as one.
        func changes(together: Bool) -> [Batch] {
            guard let removed, let inserted, together else {
                return [removed?.weighted(-1), inserted].compactMap { $0 }
            }
            guard var joined = Batch.joined([removed, inserted]) else { return [] }
            joined.weights = Column(.bigint, (0..<joined.count).map { .bigint($0 < removed.count ? -1 : 1) })
            return [joined]
        }
    }

    /// Judges a write. The store's lock is held.
    func stage(_ write: TableWrite) -> (Staged?, WriteRefusal?) {
        let log = KeyLog(types: types, lookup: lookup)
        let removed = Batch.joined(write.removed)
        let inserted = Batch.joined(write.inserted)
        if let removed {
            let hashes = Hash.rows(lookup.map { removed.columns[$0] }, count: removed.count)
            for row in 0..<removed.count {
                guard isThere(removed, row, hashes[row], staged: log) else { return (nil, .conflict) }
                if !isKeyed { log.note(removed.rows([row]), isPresent: false, replaces: false) }
            }
            if isKeyed { log.note(removed, isPresent: false, replaces: true) }
        }
        if let inserted, isKeyed {
            let hashes = Hash.rows(lookup.map { inserted.columns[$0] }, count: inserted.count)
            let isStored = store.contains(inserted, by: lookup)
            for row in 0..<inserted.count {
                let newest = newestWord(inserted, row, hashes[row], staged: log)
                if newest?.isPresent ?? isStored[row] { return (nil, .duplicate(inserted, row, columns: lookup)) }
            }
            // Twice in one write.
            if let row = firstRepeated(inserted, lookup) { return (nil, .duplicate(inserted, row, columns: lookup)) }
            log.note(inserted, isPresent: true, replaces: true)
        }
        var noted: [KeyLog] = []
        for unique in uniques.indices {
            let own = KeyLog(types: types, lookup: uniques[unique])
            if let refusal = judge(unique, removed, inserted, into: own) { return (nil, refusal) }
            noted.append(own)
        }
        return (Staged(log: log, uniques: noted, removed: removed, inserted: inserted), nil)
    }

    /// One UNIQUE constraint: its columns' values are free once the removed rows are gone, or nil is not the answer.
    private func judge(_ unique: Int, _ removed: Batch?, _ inserted: Batch?, into own: KeyLog) -> WriteRefusal? {
        let columns = uniques[unique]
        if let removed = removed?.withoutNulls(columns) { own.note(removed, isPresent: false, replaces: true) }
        guard let inserted = inserted?.withoutNulls(columns) else { return nil }
        let hashes = Hash.rows(columns.map { inserted.columns[$0] }, count: inserted.count)
        let isStored = store.contains(inserted, by: columns)
        for row in 0..<inserted.count {
            var newest = own.newest(inserted, row, hashes[row])
            for (_, _, earlier) in logs.reversed() where newest == nil { newest = earlier[unique].newest(inserted, row, hashes[row]) }
            if newest?.isPresent ?? isStored[row] { return .duplicate(inserted, row, columns: columns) }
        }
        if let row = firstRepeated(inserted, columns) { return .duplicate(inserted, row, columns: columns) }
        own.note(inserted, isPresent: true, replaces: true)
        return nil
    }

    private func firstRepeated(_ batch: Batch, _ columns: [Int]) -> Int? {
        let firsts = batch.firsts(columns)
        if firsts.count == batch.count { return nil }
        return firsts.indices.first { firsts[$0] != $0 } ?? firsts.count
    }

    func newestWord(
        _ batch: Batch, _ row: Int, _ hash: UInt64, staged: KeyLog
    ) -> (columns: [Column], row: Int, isPresent: Bool)? {
        if let word = staged.newest(batch, row, hash) { return word }
        for (_, log, _) in logs.reversed() {
            if let word = log.newest(batch, row, hash) { return word }
        }
        return nil
    }

    /// Whether the very row is there, all its columns the same.
    func isThere(_ batch: Batch, _ row: Int, _ hash: UInt64, staged: KeyLog) -> Bool {
        if isKeyed {
            if let word = newestWord(batch, row, hash, staged: staged) {
                return word.isPresent && zip(word.columns, batch.columns).allSatisfy { $0.equals(word.row, $1, row) }
            }
            return store.holds(batch, row, hash)
        }
        let gone = logs.reduce(staged.matchCount(batch, row, hash)) { $0 + $1.log.matchCount(batch, row, hash) }
        return store.matchCount(batch, row, hash) > gone
    }

    /// Rows that the watermark has passed, as a write that takes them out; nil: there is none. The store's lock is held, and no
    /// row earlier than `limit` is on its way into the store.
    func expiring(before limit: Int64) -> Staged? {
        guard let old = store.expiring(before: limit) else { return nil }
        let log = KeyLog(types: types, lookup: lookup)
        var removed = old
        if !logs.isEmpty {
            // Others may have taken them out.
            let hashes = Hash.rows(lookup.map { old.columns[$0] }, count: old.count)
            let left = (0..<old.count).filter { row in
                guard isThere(old, row, hashes[row], staged: log) else { return false }
                if !isKeyed { log.note(old.rows([row]), isPresent: false, replaces: false) }
                return true
            }
            guard !left.isEmpty else { return nil }
            removed = old.rows(left)
        }
        if isKeyed || logs.isEmpty { log.note(removed, isPresent: false, replaces: isKeyed) }
        let noted = uniques.map { columns in
            let own = KeyLog(types: types, lookup: columns)
            if let rows = removed.withoutNulls(columns) { own.note(rows, isPresent: false, replaces: true) }
            return own
        }
        return Staged(log: log, uniques: noted, removed: removed, inserted: nil)
    }

    /// Enters a write that was judged, with nothing entered in between.
    func enter(_ staged: Staged, tick: UInt64) {
        guard staged.log.count > 0 || staged.uniques.contains(where: { $0.count > 0 }) else { return }
        if let last = logs.last, last.tick == tick {
            last.log.append(staged.log, replaces: isKeyed)
            for (log, later) in zip(last.uniques, staged.uniques) { log.append(later, replaces: true) }
        } else {
            logs.append((tick, staged.log, staged.uniques))
        }
    }
}

extension Batch {
    func hasNull(_ row: Int, in columns: [Int]) -> Bool { columns.contains { self.columns[$0].isNull(row) } }

    /// The rows with a value in each of the columns; nil: there is none.
    func withoutNulls(_ columns: [Int]) -> Batch? {
        if columns.allSatisfy({ self.columns[$0].validity == nil }) { return count > 0 ? self : nil }
        let kept = (0..<count).filter { !hasNull($0, in: columns) }
        return kept.isEmpty ? nil : rows(kept)
    }

    /// One batch of them all, without weights; nil where there is no row.
    static func joined(_ batches: [Batch]) -> Batch? {
        let count = batches.reduce(0) { $0 + $1.count }
        guard let first = batches.first, count > 0 else { return nil }
        if batches.count == 1 { return Batch(count: first.count, columns: first.columns) }
        let columns = first.columns.indices.map { at in
            let column = Column(first.columns[at].type, capacity: count)
            for batch in batches { column.append(rowsOf: batch.columns[at], from: 0, count: batch.count) }
            return column
        }
        return Batch(count: count, columns: columns)
    }
}
