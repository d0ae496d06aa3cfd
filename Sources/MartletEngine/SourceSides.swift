internal import MartletColumns
internal import MartletCore
internal import MartletDataflow
internal import MartletSQL

/// What a circuit refused in a tick, as far as one source is concerned.
struct Refusals {
    var late: [LateRow] = []
    /// Of a table that its connector is the source of: changes that came too late.
    var changes: [LateChange] = []
    /// Of such changes: where the columns of the table's records stand.
    var given: [Int] = []
    var letters: [DeadLetter] = []
    /// The circuit's views, by the ordinals that rows and letters have.
    var views: [String]

    var isEmpty: Bool { late.isEmpty && changes.isEmpty && letters.isEmpty }
}

/// Late table and dead letters of a source: append-only relations that fill as it is read. Their rows are written to their
/// targets with the tick that refused them, and can be read by plans from the next tick on.
final class SourceSides {
    /// One of the two.
    private struct Entry {
        var name: String
        var target: Int
        var encoder: any RowEncoder
    }

    private(set) var targets: [any SinkTarget] = []
    private let source: SourceDefinition
    private let late: Entry?
    private let dead: Entry?

    /// - Parameter firstTarget: the ordinal that the first of `targets` gets.
    init(_ source: SourceDefinition, connectors: any ConnectorProvider, firstTarget: Int) throws(SQLError) {
        self.source = source
        var targets: [any SinkTarget] = []
        func open(_ relation: SideRelation) throws(SQLError) -> Entry {
            let target = try connectors.openRelation(relation)
            targets.append(target)
            return Entry(name: relation.name, target: firstTarget + targets.count - 1, encoder: target.makeEncoder())
        }
        late = try source.lateTable.map { (name) throws(SQLError) in
            try open(SideRelation(name: name, kind: .late, fields: source.lateFields, source: source))
        }
        dead = try source.onError != .deadLetter
            ? nil
            : open(
                SideRelation(
                    name: source.deadLetterTable, kind: .deadLetters, fields: SourceDefinition.deadLetterFields, source: source))
        self.targets = targets
    }

    /// The relations' names.
    var names: [String] { [late?.name, dead?.name].compactMap { $0 } }

    struct Collected {
        var parts: [(target: Int, part: SinkCollector.Part)] = []
        var rows: [(name: String, batch: Batch)] = []
    }

    /// The rows that a circuit refused in a tick, as the relations' rows.
    func collect(
        _ refused: Refusals, pool: BytePool, reread: (OriginBlock, [Int]) throws(SQLError) -> Batch
    ) throws(SQLError) -> Collected {
        var collected = Collected()
        if let late {
            for group in groups(refused.late) { add(try lateBatch(group, refused.views, reread: reread), late, pool, to: &collected) }
            if !refused.changes.isEmpty { add(lateBatch(refused), late, pool, to: &collected) }
        }
        if let dead, !refused.letters.isEmpty { add(deadBatch(refused.letters, refused.views), dead, pool, to: &collected) }
        return collected
    }

    private func add(_ batch: Batch, _ entry: Entry, _ pool: BytePool, to collected: inout Collected) {
        let bytes = pool.take()
        entry.encoder.encode(batch, into: bytes)
        collected.parts.append(
            (entry.target, SinkCollector.Part(bytes: bytes, rows: UInt64(batch.count))))
        collected.rows.append((entry.name, batch))
    }

    /// Late rows of one block stand together, in order.
    private func groups(_ rows: [LateRow]) -> [[LateRow]] {
        var groups: [[LateRow]] = []
        for row in rows {
            if let last = groups.last, last[0].block === row.block {
                groups[groups.count - 1].append(row)
            } else {
                groups.append([row])
            }
        }
        return groups
    }

    /// The source's columns, then what the contract says of late rows.
    private func lateBatch(
        _ rows: [LateRow], _ views: [String], reread: (OriginBlock, [Int]) throws(SQLError) -> Batch
    ) throws(SQLError) -> Batch {
        let block = rows[0].block
        var batch = try reread(block, rows.map(\.blockRow))
        // The source may have got columns since.
        batch.columns = Array(batch.columns.prefix(source.lateColumns.count))
        let timeType = source.lateFields[source.lateColumns.count + 2].type
        let lateFor = Column(.text, capacity: rows.count)
        let lateBy = Column(.interval, capacity: rows.count)
        let watermark = Column(timeType, capacity: rows.count)
        let partition = Column(.integer, capacity: rows.count)
        let offset = Column(.bigint, capacity: rows.count)
        let ingested = Column(.timestamptz, capacity: rows.count)
        let operation = Column(.text, capacity: rows.count)
        for row in rows {
            lateFor.append(.text(views[row.view]))
            lateBy.append(.interval(Interval(months: 0, days: 0, micros: row.watermark &- row.eventTime)))
            watermark.append(timeType == .timestamptz ? .timestamptz(row.watermark) : .timestamp(row.watermark))
            partition.append(.integer(block.partition))
            offset.append(.bigint(block.offsets[row.blockRow]))
            ingested.append(.timestamptz(block.ingestedAt))
            operation.append(.null)
        }
        batch.columns += [lateFor, lateBy, watermark, partition, offset, ingested, operation]
        return batch
    }

    /// The table's columns that its records have; what came of which record is not known any more.
    private func lateBatch(_ refused: Refusals) -> Batch {
        let columns = source.lateFields.map { Column($0.type, capacity: refused.changes.count) }
        let timeType = source.lateFields[source.lateColumns.count + 2].type
        for change in refused.changes {
            let given = refused.given.map { change.rows.columns[$0].value(at: change.row) }
            let row = given + [
                .text(refused.views[change.view]),
                .interval(Interval(months: 0, days: 0, micros: change.watermark &- change.eventTime)),
                timeType == .timestamptz ? .timestamptz(change.watermark) : .timestamp(change.watermark),
                .null, .null, .null, .text(change.isRemoval ? "delete" : "insert"),
            ]
            for (column, value) in zip(columns, row) { column.append(value) }
        }
        return Batch(count: refused.changes.count, columns: columns)
    }

    private func deadBatch(_ letters: [DeadLetter], _ views: [String]) -> Batch {
        let columns = SourceDefinition.deadLetterFields.map { Column($0.type, capacity: letters.count) }
        for letter in letters {
            let isRecord = letter.source >= 0
            let row: [Value] = [
                .text(source.name),
                isRecord ? .integer(letter.partition) : .null,
                isRecord ? .bigint(letter.offset) : .null,
                isRecord ? .timestamptz(letter.ingestedAt) : .null,
                .text(letter.reasonCode),
                .text(letter.view.map { "\(letter.reason) (in \(views[$0]))" } ?? letter.reason),
                letter.field.map { .text($0) } ?? .null,
                isRecord ? .bytea(letter.payload) : .null,
                letter.key.map { .bytea($0) } ?? .null,
                letter.headers.map { .jsonb($0) } ?? .null,
                .integer(0),
                .text(fingerprint(letter, views)),
            ]
            for (column, value) in zip(columns, row) { column.append(value) }
        }
        return Batch(count: letters.count, columns: columns)
    }

    /// Letters of one kind share it: the reason's code and field, not the values in the reason's text.
    private func fingerprint(_ letter: DeadLetter, _ views: [String]) -> String {
        var bytes = Array("\(source.name)/\(letter.reasonCode)/\(letter.field ?? "")".utf8)
        if let view = letter.view { bytes += Array("/\(views[view])".utf8) }
        let checksum = bytes.withUnsafeBytes { crc32c($0) }
        let digits = String(checksum, radix: 16)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }
}
