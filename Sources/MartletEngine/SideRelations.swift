internal import MartletColumns
internal import MartletCore
internal import MartletDataflow
internal import MartletSQL

/// Late tables and dead letters: append-only relations that fill as a pipeline runs. Their rows are written to their
/// targets with the tick that refused them, and can be read by the pipeline's own plans from the next tick on.
final class SideRelations {
    /// One relation of a source.
    private struct Entry {
        var name: String
        var source: Int
        var target: Int
        var encoder: any RowEncoder
        /// Its ordinal among the relations that plans read.
        var read: Int?
    }

    private(set) var targets: [any SinkTarget] = []
    private let sources: [SourceDefinition]
    private let views: [String]
    /// By view: the first source that it reads.
    private let homes: [Int?]
    private var late: [Int: Entry] = [:]
    private var dead: [Int: Entry] = [:]

    init(
        sources: [SourceDefinition], views: [String], homes: [Int?], read: [String], connectors: any ConnectorProvider, firstTarget: Int
    ) throws(SQLError) {
        self.sources = sources
        self.views = views
        self.homes = homes
        for (ordinal, source) in sources.enumerated() {
            if let name = source.lateTable {
                late[ordinal] = try open(
                    SideRelation(name: name, kind: .late, fields: source.lateFields, source: source), ordinal, read, connectors, firstTarget)
            }
            if source.onError == .deadLetter {
                dead[ordinal] = try open(
                    SideRelation(
                        name: source.deadLetterTable, kind: .deadLetters, fields: SourceDefinition.deadLetterFields, source: source),
                    ordinal, read, connectors, firstTarget)
            }
        }
    }

    private func open(
        _ relation: SideRelation, _ source: Int, _ read: [String], _ connectors: any ConnectorProvider, _ firstTarget: Int
    ) throws(SQLError) -> Entry {
        let target = try connectors.openRelation(relation)
        targets.append(target)
        return Entry(
            name: relation.name, source: source, target: firstTarget + targets.count - 1, encoder: target.makeEncoder(),
            read: read.firstIndex(of: relation.name))
    }

    struct Collected {
        var parts: [(target: Int, part: SinkCollector.Part)] = []
        var read: [(relation: Int, batch: Batch)] = []
        var rows: [(name: String, batch: Batch)] = []
    }

    /// The rows that a tick refused, as the relations' rows.
    func collect(
        _ report: TickReport, pool: BytePool, reread: (OriginBlock, [Int]) throws(SQLError) -> Batch
    ) throws(SQLError) -> Collected {
        var collected = Collected()
        if !report.lateRows.isEmpty {
            for group in groups(report.lateRows) {
                guard let entry = late[group[0].block.source] else { continue }
                let batch = try lateBatch(group, reread: reread)
                add(batch, entry, pool, to: &collected)
            }
        }
        for source in sources.indices {
            guard let entry = dead[source] else { continue }
            let letters = report.deadLetters.filter { home(of: $0) == source }
            guard !letters.isEmpty else { continue }
            add(deadBatch(letters, of: source), entry, pool, to: &collected)
        }
        return collected
    }

    /// The source whose dead letters a letter joins: its record's, or, of a row that is no one record's any more (a group's,
    /// a pair's), the first that its view reads.
    private func home(of letter: DeadLetter) -> Int? {
        if letter.source >= 0 { return letter.source }
        return letter.view.flatMap { $0 < homes.count ? homes[$0] : nil }
    }

    private func add(_ batch: Batch, _ entry: Entry, _ pool: BytePool, to collected: inout Collected) {
        let bytes = pool.take()
        entry.encoder.encode(batch, into: bytes)
        collected.parts.append(
            (entry.target, SinkCollector.Part(bytes: bytes, rows: UInt64(batch.count))))
        if let read = entry.read { collected.read.append((read, batch)) }
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
        _ rows: [LateRow], reread: (OriginBlock, [Int]) throws(SQLError) -> Batch
    ) throws(SQLError) -> Batch {
        let block = rows[0].block
        let source = sources[block.source]
        var batch = try reread(block, rows.map(\.blockRow))
        let timeType = source.lateFields[source.columns.count + 2].type
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

    private func deadBatch(_ letters: [DeadLetter], of source: Int) -> Batch {
        let columns = SourceDefinition.deadLetterFields.map { Column($0.type, capacity: letters.count) }
        for letter in letters {
            let isRecord = letter.source >= 0
            let row: [Value] = [
                .text(sources[source].name),
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
                .text(fingerprint(letter, of: source)),
            ]
            for (column, value) in zip(columns, row) { column.append(value) }
        }
        return Batch(count: letters.count, columns: columns)
    }

    /// Letters of one kind share it: the reason's code and field, not the values in the reason's text.
    private func fingerprint(_ letter: DeadLetter, of source: Int) -> String {
        var bytes = Array("\(sources[source].name)/\(letter.reasonCode)/\(letter.field ?? "")".utf8)
        if let view = letter.view { bytes += Array("/\(views[view])".utf8) }
        let checksum = bytes.withUnsafeBytes { crc32c($0) }
        let digits = String(checksum, radix: 16)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }
}
