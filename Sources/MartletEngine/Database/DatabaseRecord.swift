internal import MartletColumns
internal import MartletCore

/// What a replay of a database's tick must be given: what statements did, and the records of its sources and units.
///
///     version (4), events (varint), each: kind (1), then
///         change      relation (varint), bytes (run: `BatchCodec`)
///         definition  text (run), repeatable (1), search path (varint, runs)
///         starts      relation (varint), partitions (varint), each: zigzag position (varint)
///         drawn       relation (varint), zigzag last number (varint)
///         expired     relation (varint), zigzag time (varint)
///     sources (varint), each: relation (varint), record (run)
///     units (varint), each: unit (varint), record (run)
struct DatabaseRecord {
    static let version: UInt8 = 4

    enum Event {
        case change(RelationID, Batch)
        /// As read: the rows' types are the relation's.
        case encodedChange(RelationID, [UInt8])
        case define(DefinitionText)
        /// Where the partitions of a source begin, all of them.
        case starts(RelationID, [Int64])
        /// The last number of the table's column that numbers its rows.
        case drawn(RelationID, last: Int64)
        /// The table forgot its rows earlier than a time.
        case expired(RelationID, before: Int64)
    }

    var events: [Event]
    var sources: [(source: RelationID, bytes: [UInt8])] = []
    var units: [(unit: UInt32, bytes: [UInt8])]

    init(events: [Event], sources: [(source: RelationID, bytes: [UInt8])], units: [(unit: UInt32, bytes: [UInt8])]) {
        self.events = events
        self.sources = sources
        self.units = units
    }

    /// A tick that defines takes in nothing else: what feeds have made before it waits for the next one.
    var leavesCarried: Bool {
        var defines = false
        for event in events {
            switch event {
            case .define: defines = true
            case .change, .encodedChange: return false
            case .starts, .drawn, .expired: break
            }
        }
        return defines
    }

    func encoded() -> [UInt8] {
        let sink = ByteSink()
        sink.append(DatabaseRecord.version)
        sink.append(varint: UInt64(events.count))
        for event in events {
            switch event {
            case .change(let relation, let batch):
                sink.append(1)
                sink.append(varint: UInt64(relation.raw))
                let rows = ByteSink()
                BatchCodec.encode(batch, into: rows)
                run(Array(rows.bytes), into: sink)
            case .encodedChange(let relation, let bytes):
                sink.append(1)
                sink.append(varint: UInt64(relation.raw))
                run(bytes, into: sink)
            case .define(let definition):
                sink.append(2)
                run(Array(definition.text.utf8), into: sink)
                sink.append(definition.isRepeatable ? 1 : 0)
                sink.append(varint: UInt64(definition.searchPath.count))
                for name in definition.searchPath { run(Array(name.utf8), into: sink) }
            case .starts(let source, let starts):
                sink.append(3)
                sink.append(varint: UInt64(source.raw))
                sink.append(varint: UInt64(starts.count))
                for start in starts { sink.append(varint: UInt64(bitPattern: (start << 1) ^ (start >> 63))) }
            case .drawn(let table, let last):
                sink.append(4)
                sink.append(varint: UInt64(table.raw))
                sink.append(varint: UInt64(bitPattern: (last << 1) ^ (last >> 63)))
            case .expired(let table, let limit):
                sink.append(5)
                sink.append(varint: UInt64(table.raw))
                sink.append(varint: UInt64(bitPattern: (limit << 1) ^ (limit >> 63)))
            }
        }
        sink.append(varint: UInt64(sources.count))
        for (source, bytes) in sources {
            sink.append(varint: UInt64(source.raw))
            run(bytes, into: sink)
        }
        sink.append(varint: UInt64(units.count))
        for (unit, bytes) in units {
            sink.append(varint: UInt64(unit))
            run(bytes, into: sink)
        }
        return Array(sink.bytes)
    }

    private func run(_ bytes: [UInt8], into sink: ByteSink) {
        sink.append(varint: UInt64(bytes.count))
        bytes.withUnsafeBytes { sink.append($0) }
    }

    init(decoding bytes: [UInt8]) throws(SQLError) {
        do throws(ByteError) {
            self = try ByteReader.over(bytes) { (reader) throws(ByteError) in try DatabaseRecord(&reader) }
        } catch {
            throw SQLError(.dataCorrupted, "a damaged tick record: \(error)")
        }
    }

    private init(_ reader: inout ByteReader) throws(ByteError) {
        let found = try reader.readUInt8()
        // Of version 1 are records of databases without sources, of version 2 those without columns that number rows, of version 3
        // those without tables that forget.
        guard (1...DatabaseRecord.version).contains(found) else { throw .badLength(offset: 0, length: Int64(found)) }
        events = []
        units = []
        // Each takes bytes, so that a count that is not true ends with them.
        var left = try reader.readVarUInt64()
        while left > 0 {
            left -= 1
            switch try reader.readUInt8() {
            case 1:
                let relation = RelationID(try reader.readVarUInt32())
                events.append(.encodedChange(relation, Array(try reader.readRun(limit: reader.remaining))))
            case 2:
                let text = String(decoding: try reader.readRun(limit: reader.remaining), as: UTF8.self)
                var definition = DefinitionText(text: text, searchPath: [])
                definition.isRepeatable = try reader.readUInt8() != 0
                var names = try reader.readVarUInt64()
                while names > 0 {
                    names -= 1
                    definition.searchPath.append(String(decoding: try reader.readRun(limit: reader.remaining), as: UTF8.self))
                }
                events.append(.define(definition))
            case 3:
                let source = RelationID(try reader.readVarUInt32())
                var partitions = try reader.readVarUInt64()
                var starts: [Int64] = []
                while partitions > 0 {
                    partitions -= 1
                    starts.append(try reader.readVarInt64())
                }
                events.append(.starts(source, starts))
            case 4: events.append(.drawn(RelationID(try reader.readVarUInt32()), last: try reader.readVarInt64()))
            case 5: events.append(.expired(RelationID(try reader.readVarUInt32()), before: try reader.readVarInt64()))
            case let kind: throw .badLength(offset: reader.offset, length: Int64(kind))
            }
        }
        left = found == 1 ? 0 : try reader.readVarUInt64()
        while left > 0 {
            left -= 1
            let source = RelationID(try reader.readVarUInt32())
            sources.append((source, Array(try reader.readRun(limit: reader.remaining))))
        }
        left = try reader.readVarUInt64()
        while left > 0 {
            left -= 1
            let unit = try reader.readVarUInt32()
            units.append((unit, Array(try reader.readRun(limit: reader.remaining))))
        }
    }
}
