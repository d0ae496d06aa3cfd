internal import MartletColumns
internal import MartletCore
internal import MartletLog
internal import MartletSQL

/// Changes by the time of their ticks, for reads of the past.
extension ChangeTopics {
    /// As `ChangeHub.later` has it.
    func later(
        than micros: Int64, _ relation: RelationID, through tick: UInt64, fields: [Field], _ undone: inout UndoneChanges
    ) throws(SQLError) -> ChangeHub.Later {
        guard let topic = log.topic(named: name(relation)) else { return .missing(since: nil) }
        let id = TopicPartition(topic: topic.id, partition: 0)
        // Nothing was ever written: it is not known since when nothing has changed.
        guard let status = log.status(id), status.highWatermark > 0 else { return .missing(since: nil) }
        // Nothing is left that is young enough to be kept, so nothing has changed since.
        guard status.logStartOffset < status.highWatermark, let first = try offset(since: micros, in: id) else { return .all }
        var place = Place(micros: micros, tick: tick)
        var since: Int64?
        var layout = Layout(last: fields)
        var offset = first
        while offset < status.highWatermark, !place.isBehind {
            guard let read = try read(id, from: offset, ChangeTopics.readBytes) else { return .missing(since: nil) }
            for (_, record) in read.records where place.admits(record) {
                switch record.kind {
                case .begin, .longer: since = record.micros
                case .rows(_, let columns, let rows):
                    layout.meet(columns)
                    if since == nil, let types = layout.types { try undone.add(try ChangeRecord.decode(rows, types)) }
                case .reshaped(let steps, let columns):
                    if since == nil { since = layout.change(by: steps, to: columns) ? nil : record.micros }
                    if since == nil { undone.reshape(steps) }
                }
            }
            guard read.next > offset else { break }
            offset = read.next
        }
        if since != nil || !layout.isLast { return .missing(since: since) }
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

    /// The columns of the rows that were met last.
    private struct Layout {
        /// What they are to become.
        private let last: [Field]
        private let lastColumns: String
        /// nil: none were met.
        private var columns: String?
        /// nil: it cannot be told, or rows with other columns came without a word.
        private(set) var types: [DataType]?

        init(last: [Field]) {
            self.last = last
            lastColumns = ChangeRecord.columns(last)
        }

        mutating func meet(_ given: String) {
            if given == columns { return }
            types = columns == nil ? told(by: given) : nil
            columns = given
        }

        /// False: what was met does not become that by the steps.
        mutating func change(by steps: [ColumnStep], to given: String) -> Bool {
            if columns == nil { return true }
            guard let known = types, let next = steps.applied(to: known), next == told(by: given) else { return false }
            columns = given
            types = next
            return true
        }

        var isLast: Bool { columns == nil || columns == lastColumns && types != nil }

        private func told(by given: String) -> [DataType]? { given == lastColumns ? last.map(\.type) : ChangeRecord.types(given) }
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
        switch record.kind {
        case .begin, .longer: return record.micros
        case .rows, .reshaped: return nil
        }
    }
}
