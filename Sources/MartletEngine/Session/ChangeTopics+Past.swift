internal import MartletColumns
internal import MartletCore
internal import MartletLog
internal import MartletSQL

/// Changes by the time of their ticks, for reads of the past.
extension ChangeTopics {
    /// As `ChangeHub.later` has it.
    func later(
        than micros: Int64, _ relation: RelationID, through tick: UInt64, fields: [Field], _ take: (Batch) throws(SQLError) -> Void
    ) throws(SQLError) -> ChangeHub.Later {
        guard let topic = log.topic(named: name(relation)) else { return .missing(since: nil) }
        let id = TopicPartition(topic: topic.id, partition: 0)
        // Nothing was ever written: it is not known since when nothing has changed.
        guard let status = log.status(id), status.highWatermark > 0 else { return .missing(since: nil) }
        // Nothing is left that is young enough to be kept, so nothing has changed since.
        guard status.logStartOffset < status.highWatermark, let first = try offset(since: micros, in: id) else { return .all }
        let columns = ChangeRecord.columns(fields)
        var place = Place(micros: micros, tick: tick)
        var (since, isOfOthers): (Int64?, Bool) = (nil, false)
        var offset = first
        while offset < status.highWatermark, !place.isBehind {
            guard let read = try read(id, from: offset, ChangeTopics.readBytes) else { return .missing(since: nil) }
            for (_, record) in read.records where place.admits(record) {
                switch record.kind {
                case .begin, .longer: since = record.micros
                case .rows(_, let layout, let rows):
                    isOfOthers = isOfOthers || layout != columns
                    if since == nil, !isOfOthers { try take(try ChangeRecord.decode(rows, fields)) }
                }
            }
            guard read.next > offset else { break }
            offset = read.next
        }
        if since != nil || isOfOthers { return .missing(since: since) }
        // What retention took while this was reading would be missed.
        guard let now = log.status(id), now.logStartOffset <= first else { return .missing(since: nil) }
        return .all
    }

    /// Among records in their order, those behind an instant and up to a tick. Once one is behind the instant all that follow are.
    private struct Place {
        let micros: Int64
        let tick: UInt64
        private var isLater = false
        /// What follows belongs to ticks that are not asked for.
        private(set) var isBehind = false

        init(micros: Int64, tick: UInt64) {
            self.micros = micros
            self.tick = tick
        }

        mutating func admits(_ record: ChangeRecord) -> Bool {
            isLater = isLater || record.micros > micros
            isBehind = isBehind || record.tick > tick
            return isLater && !isBehind
        }
    }

    /// The first record that may be later; nil: none is.
    private func offset(since micros: Int64, in id: TopicPartition) throws(SQLError) -> Int64? {
        do throws(LogError) {
            let found = try log.offset(.atOrAfter(max(micros, 0) / 1000), in: id, isolation: .readCommitted).offset
            return found < 0 ? nil : found
        } catch {
            throw SQLError(.ioError, "the changes of a relation cannot be read: \(error)")
        }
    }

    /// When the relation's changes began to be kept, microseconds since 1970, as far as they still say; nil: they do not.
    func beginning(_ relation: RelationID) throws(SQLError) -> Int64? {
        guard let range = range(relation), let record = try read(range.id, from: range.start, 1)?.records.first?.record else { return nil }
        if case .rows = record.kind { return nil }
        return record.micros
    }
}
