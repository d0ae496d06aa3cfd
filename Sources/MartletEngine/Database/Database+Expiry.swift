internal import MartletColumns
internal import MartletCore
internal import MartletDataflow

/// Tables that forget rows once their watermark has passed them (WATERMARK … WITH TTL). Such a row leaves the table at the
/// beginning of a tick; what views and sinks made of it stays, since a window that is closed must not open again.
///
/// Which rows leave hangs on the rows that are there and on a limit, which is recorded. It is never later than a row that is
/// not durable yet: those are not looked for.
extension Database {
    func expire(_ work: inout Work) {
        for table in tables.values.filter({ $0.store.expiry != nil }).sorted(by: { $0.id < $1.id }) {
            guard let watermark = table.currentWatermark else { continue }
            let limit = min(watermark, earliestPending(table.id, column: table.store.expiry ?? 0))
            if expire(table, before: limit, &work) { work.events.append(.expired(table.id, before: limit)) }
        }
    }

    /// What was recorded, again. What was replayed before is all durable.
    func expireAgain(_ id: RelationID, before limit: Int64, _ work: inout Work) {
        committed(through: work.tick - 1)
        if let table = tables[id] { _ = expire(table, before: limit, &work) }
    }

    /// Answers whether there were any.
    private func expire(_ table: TableState, before limit: Int64, _ work: inout Work) -> Bool {
        let staged = visible.locked { content in
            table.prune(through: content.tick)
            return table.expiring(before: limit)
        }
        guard let staged, let removed = staged.removed else { return false }
        table.enter(staged, tick: work.tick)
        work.expired[table.id] = removed.weighted(-1)
        return true
    }
}
